//! A terminal of a caller's, with what runs at it.

use crate::live::{PATIENCE, eventually};
use crate::support::{Project, done, program};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::sys::terminal::{self, Settings, Size};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub const PROFILE: &str = "version = 1";

/// A terminal of a caller's, and what runs in it.
pub struct Screen {
    pub master: Option<File>,
    /// The other side, to see how it is set.
    pub peer: File,
    pub child: Child,
    /// What was written and not looked at yet.
    pub unseen: String,
    pub before: Settings,
}

impl Screen {
    /// Runs a command as the leader of a session on a new terminal.
    pub fn of(project: &Project, words: &[&str]) -> Self {
        let master = File::options().read(true).write(true).open("/dev/ptmx");
        let master = master.unwrap();
        terminal::unlock(master.as_raw_fd()).unwrap();
        let peer = terminal::open_peer(master.as_raw_fd()).unwrap();
        let peer = File::from(sandbox::sys::descriptor::own(peer));
        let screen = Size::of(31, 97);
        terminal::set_size(peer.as_raw_fd(), screen).unwrap();
        // Not as every terminal is set.
        let mut stty = Command::new("stty");
        stty.args(["intr", "^X", "-ixon"]);
        assert!(
            stty.stdin(peer.try_clone().unwrap())
                .status()
                .unwrap()
                .success()
        );
        let before = terminal::settings(peer.as_raw_fd()).unwrap();
        let flags = OFlag::O_NONBLOCK;
        fcntl(&master, FcntlArg::F_SETFL(flags)).unwrap();
        let child = Command::new("setsid")
            .arg("--ctty")
            .args(words)
            .current_dir(project.path())
            .env("TERM", "xterm")
            .stdin(peer.try_clone().unwrap())
            .stdout(peer.try_clone().unwrap())
            .stderr(peer.try_clone().unwrap())
            .spawn()
            .unwrap();
        Self {
            master: Some(master),
            peer,
            child,
            unseen: String::new(),
            before,
        }
    }

    /// Runs a sandbox.
    pub fn sandbox(project: &Project, profile: &str, command: &[&str]) -> Self {
        project.write("sandbox.toml", profile);
        let program = program();
        let mut words = vec![program.to_str().unwrap(), "--profile", "sandbox.toml", "--"];
        words.extend(command);
        Self::of(project, &words)
    }

    /// Runs a shell with job control, in which a function `box` runs a sandbox.
    pub fn shell(project: &Project) -> Self {
        project.write("sandbox.toml", PROFILE);
        let line = format!(
            "box() {{ '{}' --profile sandbox.toml \"$@\"; }}\n",
            program().display()
        );
        project.write(
            "rc",
            format!("{line}PS1='OUT''SIDE> '\nbind 'set enable-bracketed-paste off'\n"),
        );
        let mut screen = Self::of(project, &["bash", "--noprofile", "--rcfile", "rc", "-i"]);
        screen.shows("OUTSIDE> ");
        screen
    }

    /// Takes what was written; false at the end.
    pub fn look(&mut self, wait: Duration) -> bool {
        let Some(master) = &mut self.master else {
            return false;
        };
        let timeout = PollTimeout::try_from(wait).unwrap();
        poll(
            &mut [PollFd::new(master.as_fd(), PollFlags::POLLIN)],
            timeout,
        )
        .unwrap();
        let mut bytes = [0; 4096];
        match master.read(&mut bytes) {
            Ok(0) => false,
            Ok(n) => {
                self.unseen.push_str(&String::from_utf8_lossy(&bytes[..n]));
                true
            }
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    /// Waits until something was written; what was written before it.
    #[track_caller]
    pub fn shows(&mut self, words: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(at) = self.unseen.find(words) {
                let rest = self.unseen.split_off(at + words.len());
                return std::mem::replace(&mut self.unseen, rest);
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no {words:?} in {:?}",
                self.unseen
            );
            self.look(Duration::from_millis(20));
        }
    }

    /// Types.
    pub fn types(&mut self, keys: &str) {
        self.master
            .as_mut()
            .unwrap()
            .write_all(keys.as_bytes())
            .unwrap();
    }

    pub fn settings(&self) -> Settings {
        terminal::settings(self.peer.as_raw_fd()).unwrap()
    }

    /// Waits until the caller's terminal hands on each key as it is.
    #[track_caller]
    pub fn is_raw(&self) {
        eventually("the caller's terminal is raw", || {
            self.settings() == self.settings().raw()
        });
    }

    /// Signals to what runs.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// The pid of the sandbox's init.
    pub fn init(&self) -> String {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let list = std::fs::read_to_string(children).unwrap();
        // The other child gives the terminal its settings back if the supervisor is killed.
        let init = list.split_whitespace().find(|pid| {
            let inside = std::fs::read_link(format!("/proc/{pid}/ns/pid"));
            inside.ok() != std::fs::read_link("/proc/self/ns/pid").ok()
        });
        init.unwrap().to_owned()
    }

    /// Waits for the end: the exit code, or -N if signal N ended it, and the rest that was written.
    #[track_caller]
    pub fn ends(&mut self) -> (i32, String) {
        let start = Instant::now();
        let status = loop {
            self.look(Duration::from_millis(20));
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "still runs: {:?}", self.unseen);
        };
        while self.look(Duration::ZERO) && poll_now(self.master.as_ref()) {}
        let code = status.code().unwrap_or_else(|| -status.signal().unwrap());
        (code, std::mem::take(&mut self.unseen))
    }

    /// It is set as it was, and so needs no reset(1).
    #[track_caller]
    pub fn is_as_before(&self) {
        assert_eq!(self.settings(), self.before);
    }
}

fn poll_now(master: Option<&File>) -> bool {
    let mut fds = [PollFd::new(master.unwrap().as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() > 0
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Hangs up, and so ends what still runs.
        self.master = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A screen of tmux(1).
pub struct Tmux<'p>(&'p Project);

impl<'p> Tmux<'p> {
    /// One that is not there yet.
    pub fn new(project: &'p Project) -> Self {
        Self(project)
    }

    /// Has it run a command, on a screen of 80 columns and 24 lines.
    pub fn opens(&self, command: &str) {
        let size = ["-x", "80", "-y", "24"];
        let mut words = vec!["new-session", "-d", "-s", "main"];
        words.extend(size);
        words.push(command);
        self.command(&words);
    }

    pub fn command(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command
            .arg("-S")
            .arg(self.0.path().join("tmux"))
            .args(["-f", "/dev/null"])
            .args(words);
        command
            .current_dir(self.0.path())
            .env_remove("TMUX")
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8");
        let run = done(&mut command);
        assert_eq!(run.code, 0, "{words:?}: {run:?}");
        run.stdout
    }

    pub fn types(&self, keys: &[&str]) {
        let mut words = vec!["send-keys", "-t", "main"];
        words.extend(keys);
        self.command(&words);
    }

    /// Waits until the screen is like that.
    #[track_caller]
    pub fn shows(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.command(&["capture-pane", "-p", "-t", "main"]);
            if holds(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "not {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let _ = Command::new("tmux")
            .arg("-S")
            .arg(self.0.path().join("tmux"))
            .arg("kill-server")
            .output();
    }
}

/// Which of these programs this machine lacks.
pub fn missing<'n>(names: &[&'n str]) -> Option<&'n str> {
    let there = |name: &str| {
        let folders = ["/usr/bin", "/bin", "/usr/sbin"];
        folders
            .map(std::path::Path::new)
            .iter()
            .any(|folder| folder.join(name).exists())
    };
    names.iter().find(|name| !there(name)).copied()
}
