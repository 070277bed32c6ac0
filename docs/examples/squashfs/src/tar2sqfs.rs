//! `tar2sqfs` of squashfs-tools-ng: a tar archive on its standard input becomes a SquashFS image.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread;

use longshore_core::{Context, Error, ErrorKind, Result, Task, Work};
use parking_lot::Mutex;

const PROGRAM: &str = "tar2sqfs";
/// Bytes of its standard error that are kept for a message.
const SAID: u64 = 16 << 10;

/// Writes the archive that `fill` writes as an image at `path`; `time` is that of the image and of its root directory.
///
/// # Errors
/// Errors of `fill`, a missing program, what the program says if it fails, and cancellation. The program has ended then.
pub(crate) fn run(
    path: &Path,
    arguments: &[String],
    time: i64,
    work: &Work,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut command = Command::new(PROGRAM);
    command.args(["--quiet", "--no-skip", "--num-jobs"]).arg(work.jobs().to_string());
    // Of the root directory, which is not in the archive, and of the image itself.
    command.args(["--defaults", &format!("uid=0,gid=0,mode=0755,mtime={time}")]).args(arguments).arg(path);
    command.env_remove("SOURCE_DATE_EPOCH");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(missing)?;
    let pipes = child.stdin.take().zip(child.stderr.take());
    let running = Running(Arc::new(Mutex::new(child)));
    let (stdin, stderr) = pipes.ok_or_else(|| Error::new(ErrorKind::Other, format!("{PROGRAM} has no pipes")))?;
    let task = work.progress.task("squashfs image", None);
    let ended = running.feed(stdin, stderr, &task, work, fill);
    work.check()?;
    ended.attempt(|| format!("{PROGRAM} failed"))?;
    task.done("");
    Ok(())
}

fn missing(error: io::Error) -> Error {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let error = Error::from(error).context(format!("cannot run {PROGRAM}"));
    if is_missing { error.with_hint("install squashfs-tools-ng") } else { error }
}

/// The program. It is killed when this is dropped.
struct Running(Arc<Mutex<Child>>);

impl Running {
    fn feed(
        &self,
        stdin: ChildStdin,
        stderr: ChildStderr,
        task: &Task,
        work: &Work,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let child = self.0.clone();
        let _on_cancel = work.cancel.on_cancel(move || drop(child.lock().kill()));
        let mut input = Counted { stdin, task, has_failed: false };
        let (filled, said) = thread::scope(|scope| {
            // Read meanwhile: with a full pipe it would wait for a reader, and this for it.
            let said = scope.spawn(move || last_line(stderr));
            let filled = fill(&mut input);
            if filled.is_err() {
                // Otherwise the end of its input would make it complete an image of half the files.
                let _ = self.0.lock().kill();
            }
            let has_failed = input.has_failed;
            drop(input);
            (filled.map_err(|error| (error, has_failed)), said.join().unwrap_or_default())
        });
        let status = self.0.lock().wait()?;
        match filled {
            // It has ended before its input has: what it says is the reason.
            Err((_, true)) if !said.is_empty() => Err(Error::new(ErrorKind::Other, said)),
            Err((error, _)) => Err(error),
            Ok(()) if status.success() => Ok(()),
            Ok(()) if said.is_empty() => Err(Error::new(ErrorKind::Other, status.to_string())),
            Ok(()) => Err(Error::new(ErrorKind::Other, said)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut child = self.0.lock();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Counts what the program has taken.
struct Counted<'a> {
    stdin: ChildStdin,
    task: &'a Task,
    has_failed: bool,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stdin.write(bytes).inspect_err(|_| self.has_failed = true)?;
        self.task.advance(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads to the end, which comes when the program ends, and returns the last line of the beginning.
fn last_line(mut stderr: ChildStderr) -> String {
    let mut said = Vec::new();
    let read = stderr.by_ref().take(SAID).read_to_end(&mut said);
    let _ = read.and_then(|_| io::copy(&mut stderr, &mut io::sink()));
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    last.chars().filter(|letter| !letter.is_control()).collect()
}
