//! A plugin that is running: messages to and from it, within limits, and its end.

use std::io::{self, ErrorKind::WouldBlock, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use longshore_core::{Cancel, Context, Error, ErrorKind, Result, Work};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use strum::VariantNames;
use tempfile::TempDir;

use super::{Limits, Plugin};
use crate::convert::one_line;
use crate::protocol::{MESSAGE_LIMIT, Reply, Request, VERSION, Version, Versions};

/// How often an end and a cancelled run are looked for, if nothing else happens.
const TICK: Duration = Duration::from_millis(50);
/// Lines on standard error that are shown.
const LINES: usize = 100;
/// The longest line on standard error that is shown whole, in bytes.
const LINE: usize = 4 << 10;

/// A plugin that is running. Dropping it kills it and all processes that it started in its group.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    limits: Limits,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    /// What was read of standard output, from the start of a message.
    input: Vec<u8>,
    is_at_end: bool,
    said: Vec<u8>,
    /// Lines of standard error that were shown, and the last of all.
    lines: usize,
    last_line: String,
    work: Work,
    status: Option<ExitStatus>,
    /// Its home.
    _home: TempDir,
}

impl Process {
    /// Starts a plugin and agrees on the version.
    pub(super) fn start(plugin: &Plugin, with_credentials: bool, work: &Work) -> Result<Self> {
        let name = plugin.name();
        let home = tempfile::tempdir().attempt(|| "cannot create a directory for temporary files".to_owned())?;
        let mut command = Command::new(plugin.path());
        command.env_clear().envs(plugin.environment(home.path(), with_credentials));
        // A group of its own: a signal of the terminal reaches the program, which then tells the plugin.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let started = command.spawn().and_then(|mut child| {
            let missing = || io::Error::other("a pipe is missing");
            let stdin = child.stdin.take().ok_or_else(missing)?;
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let (stdout, stderr) = (stdout.ok_or_else(missing)?, stderr.ok_or_else(missing)?);
            for pipe in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
                rustix::io::ioctl_fionbio(pipe, true)?;
            }
            Ok((child, stdin, stdout, stderr))
        });
        let (child, stdin, stdout, stderr) = started.attempt(|| format!("cannot run {}", plugin.path().display()))?;
        let mut process = Self {
            name,
            limits: plugin.limits(),
            child,
            stdin: Some(stdin),
            stdout,
            stderr: Some(stderr),
            input: Vec::new(),
            is_at_end: false,
            said: Vec::new(),
            lines: 0,
            last_line: String::new(),
            work: work.clone(),
            status: None,
            _home: home,
        };
        let answer = process.ask(&Request::Hello(Versions { versions: vec![VERSION] }), process.limits.answer)?;
        match answer {
            Reply::Hello(Version { version: VERSION }) => Ok(process),
            Reply::Hello(Version { version }) => {
                let message = format!("{} speaks version {version} of the protocol, not {VERSION}", process.name);
                Err(Error::new(ErrorKind::Unsupported, message).with_hint("install the version of it for this program"))
            }
            other => Err(process.unexpected(&other, "hello")),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Sends a request, and waits for its answer as long as no more than `silence` passes without a message.
    ///
    /// # Errors
    /// `failed`, as the plugin says it; a plugin that breaks the protocol, is silent or ends, by its name; cancellation.
    pub(super) fn ask(&mut self, request: &Request, silence: Duration) -> Result<Reply> {
        let what = key(request);
        self.send(request, silence).attempt(|| format!("cannot send `{what}` to {}", self.name))?;
        self.answer(&what, silence, &mut |_| {})
    }

    /// Waits for an answer to the request `what`; `event` gets progress.
    pub(super) fn answer(
        &mut self,
        what: &str,
        silence: Duration,
        event: &mut dyn FnMut(longshore_core::Event),
    ) -> Result<Reply> {
        let mut since = Instant::now();
        let cancel = self.work.cancel.clone();
        loop {
            let left = silence.checked_sub(since.elapsed());
            let left = left.ok_or_else(|| self.is_silent(what, silence))?;
            let Some(line) = self.line(left, &cancel, what)? else { continue };
            since = Instant::now();
            match self.message(&line)? {
                Some(Reply::Progress(progress)) => event(progress),
                Some(Reply::Warning(warning)) => {
                    self.work.progress.warn(format!("{}: {}", self.name, one_line(&warning.message)));
                }
                Some(Reply::Failed(failure)) => return Err(failure.into()),
                Some(Reply::Alive {}) | None => {}
                Some(reply) => return Ok(reply),
            }
        }
    }

    /// Writes a message.
    pub(super) fn send(&mut self, request: &Request, most: Duration) -> Result<()> {
        let mut line =
            serde_json::to_vec(request).map_err(|error| Error::input("it is no message").with_source(error))?;
        line.push(b'\n');
        let until = Instant::now() + most;
        let mut left = &line[..];
        while !left.is_empty() {
            let stdin = self.stdin.as_mut().ok_or_else(|| Error::new(ErrorKind::Other, "it was told to end"))?;
            match stdin.write(left) {
                Ok(count) => left = &left[count..],
                Err(error) if matches!(error.kind(), WouldBlock | io::ErrorKind::Interrupted) => {
                    self.work.check()?;
                    if Instant::now() > until {
                        return Err(Error::new(ErrorKind::Unavailable, "it does not read its messages"));
                    }
                    wait(&mut [PollFd::new(stdin, PollFlags::OUT)])?;
                }
                // It has exited: the error of waiting for its answer says how.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Returns the next line, or `None` after a while without one.
    fn line(&mut self, most: Duration, cancel: &Cancel, what: &str) -> Result<Option<Vec<u8>>> {
        let until = Instant::now() + most;
        loop {
            cancel.check()?;
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let rest = self.input.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.input, rest);
                line.pop();
                return Ok(Some(line));
            }
            if self.input.len() > MESSAGE_LIMIT {
                let message = format!("{} sent a message of more than {} KiB", self.name, MESSAGE_LIMIT >> 10);
                return Err(Error::new(ErrorKind::Other, message));
            }
            self.show_stderr();
            if self.is_at_end || self.has_ended()? && !self.read()? {
                return Err(self.ended_early(what));
            }
            if !self.read()? {
                if Instant::now() >= until {
                    return Ok(None);
                }
                let mut pipes = vec![PollFd::new(&self.stdout, PollFlags::IN)];
                pipes.extend(self.stderr.as_ref().map(|stderr| PollFd::new(stderr, PollFlags::IN)));
                wait(&mut pipes)?;
            }
        }
    }

    /// Reads what is there of standard output; returns whether that was anything.
    fn read(&mut self) -> Result<bool> {
        let mut buffer = [0; 64 << 10];
        match self.stdout.read(&mut buffer) {
            Ok(0) => self.is_at_end = true,
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                return Ok(true);
            }
            Err(error) if matches!(error.kind(), WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(Error::from(error).context(format!("cannot read from {}", self.name))),
        }
        Ok(false)
    }

    /// Shows what is there of standard error, a line each.
    fn show_stderr(&mut self) {
        let mut buffer = [0; LINE];
        while let Some(stderr) = &mut self.stderr {
            match stderr.read(&mut buffer) {
                Ok(0) => self.stderr = None,
                Ok(count) => self.said.extend_from_slice(&buffer[..count]),
                Err(_) => break,
            }
            while let Some(end) = self.said.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.said.drain(..=end).collect();
                self.show(&line);
            }
            if self.said.len() >= LINE || self.stderr.is_none() {
                let line = std::mem::take(&mut self.said);
                self.show(&line);
            }
        }
    }

    fn show(&mut self, line: &[u8]) {
        let line = one_line(&String::from_utf8_lossy(line));
        if line.is_empty() {
            return;
        }
        self.last_line.clone_from(&line);
        self.lines += 1;
        match self.lines.cmp(&LINES) {
            std::cmp::Ordering::Less => self.work.progress.warn(format!("{}: {line}", self.name)),
            std::cmp::Ordering::Equal => self.work.progress.warn(format!("{} says more than is shown here", self.name)),
            std::cmp::Ordering::Greater => {}
        }
    }

    fn message(&self, line: &[u8]) -> Result<Option<Reply>> {
        let bad = |why: String| {
            let shown: String = one_line(&String::from_utf8_lossy(line)).chars().take(80).collect();
            Error::new(ErrorKind::Other, format!("{} sent a line that is {why}: `{shown}`", self.name)).with_hint(
                "messages are JSON objects, one a line, on standard output; text for people goes to standard error",
            )
        };
        let value: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(line).map_err(|_| bad("not a message".to_owned()))?;
        if value.len() != 1 {
            return Err(bad("not a message with one key".to_owned()));
        }
        if !value.keys().all(|key| Reply::VARIANTS.contains(&key.as_str())) {
            // A message of a later version.
            return Ok(None);
        }
        serde_json::from_value(value.into()).map(Some).map_err(|error| bad(format!("not right ({error})")))
    }

    pub(super) fn unexpected(&self, reply: &Reply, what: &str) -> Error {
        Error::new(ErrorKind::Other, format!("{} answered `{what}` with `{}`", self.name, key(reply)))
    }

    fn is_silent(&self, what: &str, silence: Duration) -> Error {
        let seconds = silence.as_secs_f64();
        let message = format!("{} said nothing for {seconds} seconds, asked to `{what}`", self.name);
        Error::new(ErrorKind::Unavailable, message)
    }

    fn has_ended(&mut self) -> Result<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait().attempt(|| format!("cannot wait for {}", self.name))?;
        }
        Ok(self.status.is_some())
    }

    fn ended_early(&mut self, what: &str) -> Error {
        self.show_stderr();
        let until = Instant::now() + self.limits.grace.min(Duration::from_secs(1));
        while !self.has_ended().unwrap_or(true) && Instant::now() < until {
            std::thread::sleep(TICK / 10);
        }
        let how = match self.status {
            None => "closed its standard output".to_owned(),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended with exit status {code}"),
                (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
            },
        };
        let error = Error::new(ErrorKind::Other, format!("{} {how} before it answered `{what}`", self.name));
        match &*self.last_line {
            "" => error,
            last => error.with_source(Error::new(ErrorKind::Other, format!("it said: {last}"))),
        }
    }

    /// Waits for the end of a plugin that has nothing more to do.
    ///
    /// # Errors
    /// A plugin that does not end, or leaves processes behind; they are killed.
    pub(super) fn end(mut self) -> Result<()> {
        self.stdin = None;
        let until = Instant::now() + self.limits.grace;
        while !self.has_ended()? {
            self.show_stderr();
            // Its output is discarded, so that a full pipe does not block it.
            while self.read()? {
                self.input.clear();
            }
            if Instant::now() > until {
                let seconds = self.limits.grace.as_secs_f64();
                let message = format!("{} did not end within {seconds} seconds of its last answer", self.name);
                return Err(Error::new(ErrorKind::Other, message));
            }
            std::thread::sleep(TICK / 10);
        }
        self.show_stderr();
        if test_kill_process_group(pid(&self.child)?).is_ok() {
            return Err(Error::new(ErrorKind::Other, format!("{} ended, but left processes running", self.name)));
        }
        match self.status {
            Some(status) if !status.success() => {
                let message = format!("{} answered, and then ended with {status}", self.name);
                Err(Error::new(ErrorKind::Other, message))
            }
            _ => Ok(()),
        }
    }

    /// Asks the plugin to stop, waits up to the grace period, and ignores its answer.
    pub(super) fn stop(mut self, request: &Request) {
        // The run may be cancelled by now: that must not cut this short.
        self.work = self.work.clone().with_cancel(Cancel::default());
        let grace = self.limits.grace;
        if self.send(request, grace).is_ok() {
            let _ = self.answer(&key(request), grace, &mut |_| {});
        }
        let _ = self.end();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(group) = pid(&self.child) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        if self.status.is_none() {
            let _ = self.child.wait();
        }
    }
}

fn pid(child: &Child) -> Result<Pid> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    id.ok_or_else(|| Error::new(ErrorKind::Other, "the process has no ID"))
}

/// Waits until one of the pipes is ready, or for a moment.
fn wait(pipes: &mut [PollFd<'_>]) -> Result<()> {
    let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
    match poll(pipes, Some(&tick)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the key of a message.
fn key(message: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(message).unwrap_or_default();
    value.as_object().and_then(|object| object.keys().next().cloned()).unwrap_or_default()
}
