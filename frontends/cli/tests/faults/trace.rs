//! Follows every system call of a command, in all of its threads, and ends or fails it at one of them.

use std::collections::HashMap;
use std::ffi::c_long;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What happens to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed before the call is made.
    Kill,
    /// The call is not made and fails with this error.
    Fail(i32),
    /// As `Fail`, a call that reads.
    FailRead(i32),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Fail(libc::ENOSPC) => "ENOSPC",
            Self::Fail(libc::EIO) => "EIO",
            Self::Fail(libc::EMFILE) => "EMFILE",
            Self::Fail(libc::EINTR) => "EINTR",
            Self::FailRead(libc::EIO) => "EIO of reads",
            Self::Fail(_) | Self::FailRead(_) => "another error",
        })
    }
}

impl Fault {
    /// Whether the fault can befall a call: the kernel gives each error for some calls only.
    fn befalls(self, call: c_long, arguments: [u64; 3]) -> bool {
        let opens = matches!(call, libc::SYS_open | libc::SYS_openat | libc::SYS_openat2 | libc::SYS_creat);
        let transfers = matches!(
            call,
            libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_writev | libc::SYS_copy_file_range | libc::SYS_sendfile
        );
        match self {
            Self::Kill => mutates(call, arguments),
            Self::Fail(libc::EMFILE) => {
                let duplicates =
                    |command: u64| [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC].map(|each| each as u64).contains(&command);
                let is_copy = call == libc::SYS_fcntl && duplicates(arguments[1]);
                opens || is_copy || matches!(call, libc::SYS_dup | libc::SYS_pipe2 | libc::SYS_socket)
            }
            // Calls that wait; a signal handler that is installed with SA_RESTART spares the others.
            Self::Fail(libc::EINTR) => transfers || matches!(call, libc::SYS_read | libc::SYS_flock | libc::SYS_fsync),
            Self::Fail(_) => mutates(call, arguments),
            Self::FailRead(_) => matches!(call, libc::SYS_read | libc::SYS_pread64 | libc::SYS_getdents64),
        }
    }
}

/// Whether a call changes what is on the medium, or makes it lasting.
fn mutates(call: c_long, [_, second, third]: [u64; 3]) -> bool {
    let writes = |flags: u64| {
        flags & (libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE) as u64 & !(libc::O_DIRECTORY as u64) != 0
    };
    match call {
        libc::SYS_open => writes(second),
        libc::SYS_openat => writes(third),
        libc::SYS_write
        | libc::SYS_pwrite64
        | libc::SYS_writev
        | libc::SYS_copy_file_range
        | libc::SYS_sendfile
        | libc::SYS_ftruncate
        | libc::SYS_fallocate
        | libc::SYS_rename
        | libc::SYS_renameat
        | libc::SYS_renameat2
        | libc::SYS_unlink
        | libc::SYS_unlinkat
        | libc::SYS_rmdir
        | libc::SYS_mkdir
        | libc::SYS_mkdirat
        | libc::SYS_link
        | libc::SYS_linkat
        | libc::SYS_symlink
        | libc::SYS_symlinkat
        | libc::SYS_mknod
        | libc::SYS_mknodat
        | libc::SYS_chmod
        | libc::SYS_fchmod
        | libc::SYS_fchmodat
        | libc::SYS_fchown
        | libc::SYS_fchownat
        | libc::SYS_utimensat
        | libc::SYS_fsetxattr
        | libc::SYS_lsetxattr
        | libc::SYS_setxattr
        | libc::SYS_fsync
        | libc::SYS_fdatasync => true,
        _ => false,
    }
}

/// How a traced command ended.
#[derive(Debug)]
pub struct Traced {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How many calls the fault could befall, up to the one that it befell.
    pub calls: usize,
    /// The call that the fault befell.
    pub hit: Option<c_long>,
}

/// What looks on while a command is followed.
pub trait Observer {
    /// A thread is about to make a call, with the first three of its arguments.
    fn begins(&mut self, _thread: Pid, _call: c_long, _arguments: [u64; 3]) {}

    /// The call of a thread returned this.
    fn ended(&mut self, _thread: Pid, _result: i64) {}
}

/// Sees nothing.
impl Observer for () {}

/// A command, in which the `at`th call (from 0) that `fault` can befall is befallen by it.
///
/// Calls are counted over all threads together, from the start of the program.
pub struct Run<'a> {
    pub program: &'a Path,
    pub arguments: &'a [String],
    pub directory: &'a Path,
    pub store: &'a Path,
    pub fault: Fault,
    pub at: usize,
}

impl Run<'_> {
    /// Runs the command to its end. The thread that calls this follows it, and no other may wait for its children.
    pub fn follow(&self, observer: &mut dyn Observer) -> Traced {
        // The shell stops until it is followed; what it becomes then is followed from its first call.
        let mut command = Command::new("sh");
        command.args(["-c", "kill -STOP $$; exec \"$@\"", "sh"]).arg(self.program).args(self.arguments);
        command.current_dir(self.directory).env("LONGSHORE_ROOT", self.store).env_remove("SOURCE_DATE_EPOCH");
        let stderr = self.directory.with_extension("stderr");
        let log = std::fs::File::create(&stderr).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut tracer = Tracer::seize(&child, self.fault, self.at, observer);
        let code = tracer.follow();
        let (calls, hit) = (tracer.calls, tracer.hit);
        drop(child);
        let mut text = String::new();
        std::fs::File::open(&stderr).unwrap().read_to_string(&mut text).unwrap();
        std::fs::remove_file(&stderr).unwrap();
        Traced { code, stderr: text, calls, hit }
    }
}

struct Tracer<'a> {
    observer: &'a mut dyn Observer,
    root: Pid,
    fault: Fault,
    at: usize,
    calls: usize,
    hit: Option<c_long>,
    /// Whether the shell has become the program, and the loader has started it.
    is_program: bool,
    /// Threads whose call was not made, and the error that it is to return.
    failing: HashMap<Pid, i32>,
}

impl<'a> Tracer<'a> {
    fn seize(child: &Child, fault: Fault, at: usize, observer: &'a mut dyn Observer) -> Self {
        let root = Pid::from_raw(child.id().try_into().unwrap());
        let flags = WaitPidFlag::WUNTRACED | WaitPidFlag::__WNOTHREAD;
        assert!(matches!(waitpid(root, Some(flags)).unwrap(), WaitStatus::Stopped(..)));
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(root, options).unwrap();
        nix::sys::signal::kill(root, Signal::SIGCONT).unwrap();
        Self { observer, root, fault, at, calls: 0, hit: None, is_program: false, failing: HashMap::new() }
    }

    /// Follows all threads to their end; the exit code of the first.
    fn follow(&mut self) -> Option<i32> {
        let mut code = None;
        loop {
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            let status = match waitpid(Pid::from_raw(-1), Some(flags)) {
                Ok(status) => status,
                Err(nix::errno::Errno::ECHILD) => return code,
                Err(error) => panic!("waitpid: {error}"),
            };
            match status {
                WaitStatus::Exited(pid, exited) if pid == self.root => code = Some(exited),
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {}
                WaitStatus::PtraceSyscall(pid) => self.call(pid),
                WaitStatus::PtraceEvent(pid, ..) => {
                    go_on(pid, None);
                }
                WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal)),
                other => go_on(other.pid().unwrap(), None),
            }
        }
    }

    /// A thread begins or ends a call.
    fn call(&mut self, pid: Pid) {
        // A thread that was ended by another has no registers any more.
        let (Ok(info), Ok(mut registers)) = (ptrace::syscall_info(pid), ptrace::getregs(pid)) else {
            return go_on(pid, None);
        };
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            if let Some(errno) = self.failing.remove(&pid) {
                registers.rax = (-i64::from(errno)).cast_unsigned();
                let _ = ptrace::setregs(pid, registers);
            }
            // A process that is killed sees no result any more.
            if self.hit.is_none() || self.fault != Fault::Kill {
                self.observer.ended(pid, registers.rax.cast_signed());
            }
            return go_on(pid, None);
        }
        let call: c_long = registers.orig_rax.cast_signed();
        // The first thing that Rust's runtime does for itself.
        self.is_program |= call == libc::SYS_sigaltstack;
        let arguments = [registers.rdi, registers.rsi, registers.rdx];
        // What it says on standard error is not what is tried here.
        let is_message = matches!(call, libc::SYS_write | libc::SYS_writev) && registers.rdi <= 2;
        if self.is_program && !is_message && self.hit.is_none() && self.fault.befalls(call, arguments) {
            self.calls += 1;
            if self.calls == self.at.saturating_add(1) {
                self.hit = Some(call);
                match self.fault {
                    Fault::Kill => {
                        let _ = nix::sys::signal::kill(self.root, Signal::SIGKILL);
                    }
                    Fault::Fail(errno) | Fault::FailRead(errno) => {
                        registers.orig_rax = u64::MAX;
                        let _ = ptrace::setregs(pid, registers);
                        self.failing.insert(pid, errno);
                    }
                }
            }
        }
        if self.hit.is_none() || self.fault != Fault::Kill {
            self.observer.begins(pid, call, arguments);
        }
        go_on(pid, None);
    }
}

/// A thread that was killed meanwhile cannot go on, and its end is reported.
fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}
