//! What is there to be attacked: a file, a process, sockets, a key; all of it the test's own.

use std::io::{PipeReader, PipeWriter, Write as _};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Removed in the end, with all that the attack has left in it.
pub struct Stage {
    folder: PathBuf,
    victim: Child,
    port: u16,
    abstract_name: String,
    _sockets: (TcpListener, UnixListener, UnixListener),
    pipe: (PipeReader, PipeWriter),
}

impl Stage {
    /// A new one.
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sandbox-attack-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().canonicalize().unwrap().join(&name);
        for part in ["project", "outside"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        std::fs::write(folder.join("outside/secret"), "the secret").unwrap();
        let victim = Command::new("sleep")
            .arg("600")
            .env("SECRET_TOKEN", "the secret")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let abstract_name = name;
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let sockets = (
            UnixListener::bind_addr(&address).unwrap(),
            UnixListener::bind(folder.join("outside/socket")).unwrap(),
        );
        Self {
            folder,
            victim,
            port: tcp.local_addr().unwrap().port(),
            abstract_name,
            _sockets: (tcp, sockets.0, sockets.1),
            pipe: std::io::pipe().unwrap(),
        }
    }

    /// The folder that a command is given.
    pub fn project(&self) -> PathBuf {
        self.folder.join("project")
    }

    /// A folder that it is not given.
    pub fn outside(&self) -> PathBuf {
        self.folder.join("outside")
    }

    /// A pipe to be read, of which this process reads too.
    pub fn pipe(&self) -> PipeReader {
        self.pipe.0.try_clone().unwrap()
    }

    /// Whether who reads of that pipe does not wait any more.
    pub fn pipe_does_not_block(&self) -> bool {
        let flags = nix::fcntl::fcntl(&self.pipe.0, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        flags & libc::O_NONBLOCK != 0
    }

    /// Whether the process outside still lives.
    pub fn victim_lives(&self) -> bool {
        Path::new(&format!("/proc/{}/exe", self.victim.id())).exists()
    }

    /// What a script is told, as JSON.
    pub fn facts(&self, before: &str) -> String {
        serde_json::json!({
            "project": self.project(),
            "outside": self.outside(),
            "secret": self.outside().join("secret"),
            "socket": self.outside().join("socket"),
            "pid": self.victim.id(),
            "port": self.port,
            "abstract": self.abstract_name,
            "before": before,
        })
        .to_string()
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.project().join(name);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
        // What a mount of the attack left on it goes first.
        let mounted = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for part in ["project/mounted", "project"] {
            let part = self.folder.join(part);
            if mounted.contains(&format!(" {} ", part.display())) {
                let _ = Command::new("umount").arg("-l").arg(part).status();
            }
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
