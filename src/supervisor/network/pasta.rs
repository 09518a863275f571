//! pasta(1): carries between a tap interface in the sandbox's network and sockets of the caller's, without
//! any privilege in the caller's.
//!
//! It is started as a child of the supervisor that has entered the sandbox's user namespace already, with the
//! capabilities over it that pasta needs to enter the network: so it changes no ids by itself, and the death
//! signal, which a change of ids would clear, ends it with the supervisor. It finds the network at its standard
//! input, since init is not its to look into, and says that it is ready by writing its pid, as it does into a file.

use super::Cause;
use crate::plan::op::network::Pasta;
use crate::supervisor::helper::{self, Helper};
use crate::sys::identity::CapabilitySets;
use crate::sys::process::{self, Side, StringArray};
use crate::sys::{descriptor, identity};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

/// `SECBIT_NO_SETUID_FIXUP`: a change of ids leaves the capabilities alone.
const NO_SETUID_FIXUP: u32 = 1 << 2;

/// What it may do in the sandbox's user namespace: CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, and CAP_SYS_ADMIN to enter
/// the network and to shut itself in. It gives them up by itself.
const CAPABILITIES: [u8; 3] = [10, 12, 21];

/// A pasta that runs. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Carrier {
    helper: Helper,
    words: OwnedFd,
}

/// What the child needs, all of it made before the clone.
struct Prepared {
    program: CString,
    arguments: StringArray,
    environment: StringArray,
    user: File,
    network: File,
    supervisor: libc::pid_t,
    uid: u32,
    gid: u32,
}

impl Carrier {
    /// Starts it for the network of init, and waits until it is ready.
    pub(super) fn start(wanted: &Pasta, init: libc::pid_t) -> Result<Self, Cause> {
        let string = |text: &[u8]| CString::new(text).map_err(|_| Errno::EINVAL);
        let program = string(wanted.program.as_os_str().as_bytes())?;
        let mut arguments = vec![program.clone()];
        for argument in &wanted.arguments {
            arguments.push(string(argument.as_bytes())?);
        }
        let prepared = Prepared {
            program,
            arguments: StringArray::new(arguments),
            environment: StringArray::new(Vec::new()),
            user: File::open(format!("/proc/{init}/ns/user"))?,
            network: File::open(format!("/proc/{init}/ns/net"))?,
            supervisor: std::process::id() as libc::pid_t,
            uid: wanted.uid,
            gid: wanted.gid,
        };
        let (ready, say_ready) = pipe()?;
        let (words, say) = pipe()?;
        // A hostile command may have it say a lot: what does not fit is lost, and it never waits.
        fcntl(&say, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // It opens this as a file, under the ids that it takes.
        nix::sys::stat::fchmod(&say_ready, nix::sys::stat::Mode::from_bits_truncate(0o666))?;
        let streams = [
            prepared.network.as_raw_fd(),
            say_ready.as_raw_fd(),
            say.as_raw_fd(),
        ];
        let (pid, pidfd) = match process::clone_into(0, None)? {
            Side::Child => {
                crate::sys::alloc::forbid();
                let why = prepared.become_pasta(streams);
                process::exit(why as libc::c_int)
            }
            Side::Parent { pid, pidfd } => (pid, descriptor::own(pidfd)),
        };
        drop((say_ready, say));
        let mut carrier = Self {
            helper: Helper::new("pasta", pid, pidfd),
            words,
        };
        carrier.await_ready(&ready)?;
        Ok(carrier)
    }

    /// Until it writes its pid; end of file means that it has ended.
    fn await_ready(&mut self, ready: &OwnedFd) -> Result<(), Cause> {
        if self.helper.is_ready(ready)? {
            return Ok(());
        }
        let why = self.helper.why();
        match self.words() {
            words if words.is_empty() => Err(why),
            words => Err(Cause::Text(words)),
        }
    }

    /// Why it has ended, if it has.
    pub(super) fn lost(&mut self) -> Option<String> {
        self.helper.is_lost().then(|| {
            self.helper.reap();
            match self.words() {
                words if words.is_empty() => "pasta ended before the command did".into(),
                words => format!("pasta ended before the command did: {words}"),
            }
        })
    }

    /// What it has said, on one line.
    fn words(&self) -> String {
        let mut bytes = [0; 2048];
        let length = poll(
            &mut [PollFd::new(self.words.as_fd(), PollFlags::POLLIN)],
            PollTimeout::ZERO,
        )
        .ok()
        .filter(|found| *found > 0)
        .and_then(|_| descriptor::read(self.words.as_raw_fd(), &mut bytes).ok());
        let said = bytes.get(..length.unwrap_or(0)).unwrap_or_default();
        let said = String::from_utf8_lossy(said);
        let lines = said
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.contains("to syslog"));
        crate::diag::printable(&lines.collect::<Vec<_>>().join("; ")).into_owned()
    }
}

impl Prepared {
    /// In the child: becomes pasta, or returns why not. Nothing is allocated here.
    fn become_pasta(&self, streams: [RawFd; 3]) -> Errno {
        match self.prepare(streams) {
            Ok(()) => process::exec(&self.program, &self.arguments, &self.environment),
            Err(errno) => errno,
        }
    }

    fn prepare(&self, streams: [RawFd; 3]) -> crate::sys::Result<()> {
        identity::enter_namespace(self.user.as_raw_fd(), libc::CLONE_NEWUSER)?;
        identity::set_securebits(NO_SETUID_FIXUP)?;
        identity::set_gid(self.gid)?;
        identity::set_uid(self.uid)?;
        let mask = CAPABILITIES.iter().fold(0, |mask, one| mask | 1 << one);
        identity::set_capabilities(CapabilitySets {
            permitted: mask,
            effective: mask,
            inheritable: mask,
        })?;
        for one in CAPABILITIES {
            identity::raise_ambient(one)?;
        }
        helper::detach(self.supervisor, streams)
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reading, writing) = process::pipe()?;
    Ok((descriptor::own(reading), descriptor::own(writing)))
}
