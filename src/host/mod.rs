//! What this machine offers and who the caller is. Facts are read when first asked for, so that
//! a run pays only for those that its profile needs; tests set them instead.

pub mod accounts;
pub mod caller;
pub mod cgroup;
pub mod descriptors;
pub mod disk;
pub mod doubt;
pub mod expand;
pub mod images;
pub mod link;
pub mod mounts;
pub mod named;
pub mod netlink;
pub mod network;
pub mod nftables;
pub mod probe;
pub mod program;
pub mod runs;
pub mod runtime;
pub mod share;
pub mod terminal;
pub mod tree;

use crate::plan::op::label::Module;
use crate::profile::text;
use crate::sys::descriptor::{self, Kind};
use accounts::Accounts;
use caller::{Caller, SubordinateIds};
use cgroup::Cgroups;
use descriptors::Inherited;
use mounts::Mounts;
use network::Networks;
use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use terminal::Terminal;
use tree::Tree;

/// The facts.
#[derive(Debug)]
pub struct Host {
    /// The caller.
    pub caller: Caller,
    /// The host's files.
    pub tree: Tree,
    cgroups: OnceCell<Result<Cgroups, String>>,
    subordinate: OnceCell<SubordinateIds>,
    write_execute: OnceCell<bool>,
    sysctls: OnceCell<bool>,
    landlock: OnceCell<u32>,
    accounts: OnceCell<Accounts>,
    mounts: OnceCell<Mounts>,
    networks: OnceCell<Networks>,
    resolvers: OnceCell<Vec<IpAddr>>,
    pasta: OnceCell<Option<PathBuf>>,
    bus_proxy: OnceCell<Option<PathBuf>>,
    runtime: OnceCell<Option<PathBuf>>,
    /// Addresses of bridges' networks that somebody was found to have.
    avoided: RefCell<Vec<IpAddr>>,
    /// How sandboxes that run are found by name.
    runs: runs::Find,
    /// What the caller's standard streams are.
    streams: [OnceCell<Option<Kind>>; 3],
    /// Whether the machine is one of given facts, which has no descriptors.
    is_fixed: bool,
    /// The caller's terminal, where it was given; else it is looked at when it is asked for.
    terminal: Option<Option<Terminal>>,
}

/// The major number of /dev/null and its kin (null(4)).
const MEMORY: u32 = 1;

impl Host {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        let tree = Tree::here();
        Self {
            caller: Caller::here(&tree.doubt),
            tree,
            cgroups: OnceCell::new(),
            subordinate: OnceCell::new(),
            write_execute: OnceCell::new(),
            sysctls: OnceCell::new(),
            landlock: OnceCell::new(),
            accounts: OnceCell::new(),
            mounts: OnceCell::new(),
            networks: OnceCell::new(),
            resolvers: OnceCell::new(),
            pasta: OnceCell::new(),
            bus_proxy: OnceCell::new(),
            runtime: OnceCell::new(),
            avoided: RefCell::default(),
            runs: runs::none,
            streams: Default::default(),
            is_fixed: false,
            terminal: None,
        }
    }

    /// A machine of given facts, for tests: no cgroups, subordinate ids as given, a new kernel.
    #[must_use]
    pub fn fixed(caller: Caller, tree: Tree, subordinate: SubordinateIds) -> Self {
        Self {
            caller,
            tree,
            cgroups: OnceCell::from(Err("a test without cgroups".into())),
            subordinate: OnceCell::from(subordinate),
            write_execute: OnceCell::from(true),
            sysctls: OnceCell::from(true),
            landlock: OnceCell::from(7),
            accounts: OnceCell::from(Accounts::default()),
            mounts: OnceCell::from(Mounts::shared()),
            networks: OnceCell::from(Networks::default()),
            resolvers: OnceCell::from(Vec::new()),
            pasta: OnceCell::from(Some("/usr/bin/pasta".into())),
            bus_proxy: OnceCell::from(Some("/usr/bin/xdg-dbus-proxy".into())),
            runtime: OnceCell::from(Some("/run/sandbox".into())),
            avoided: RefCell::default(),
            runs: runs::none,
            streams: Default::default(),
            is_fixed: true,
            terminal: Some(None),
        }
    }

    /// The same machine with these accounts, for tests.
    #[must_use]
    pub fn with_accounts(self, accounts: Accounts) -> Self {
        Self {
            accounts: OnceCell::from(accounts),
            ..self
        }
    }

    /// The same machine with these cgroups, for tests.
    #[must_use]
    pub fn with_cgroups(self, cgroups: Cgroups) -> Self {
        Self {
            cgroups: OnceCell::from(Ok(cgroups)),
            ..self
        }
    }

    /// The same machine with an older kernel, that cannot refuse to execute written memory and has no
    /// Landlock, for tests.
    #[must_use]
    pub fn that_executes_written_memory(self) -> Self {
        Self {
            write_execute: OnceCell::from(false),
            landlock: OnceCell::from(0),
            ..self
        }
    }

    /// The cgroup hierarchies and the caller's place in them.
    pub fn cgroups(&self) -> Result<&Cgroups, &str> {
        self.cgroups
            .get_or_init(|| Cgroups::read().map_err(|e| e.to_string()))
            .as_ref()
            .map_err(String::as_str)
    }

    /// The caller's subordinate ids and the programs that map them.
    pub fn subordinate(&self) -> &SubordinateIds {
        self.subordinate
            .get_or_init(|| SubordinateIds::of(&self.caller, &self.tree.doubt))
    }

    /// The caller's soft and hard limit (getrlimit(2)); a machine of given facts has none.
    #[must_use]
    pub fn rlimit(&self, resource: u32) -> (u64, u64) {
        let unlimited = (u64::MAX, u64::MAX);
        if self.is_fixed {
            return unlimited;
        }
        let limit = crate::sys::process::rlimit(resource);
        limit.unwrap_or_else(|errno| {
            self.tree.doubt.note("/proc/self/limits", errno);
            unlimited
        })
    }

    /// What the caller has left open under a number.
    #[must_use]
    pub fn descriptor(&self, number: i32) -> Option<Inherited> {
        if self.is_fixed {
            None
        } else {
            descriptors::inherited(number)
        }
    }

    /// What one of the caller's standard streams is, if it is open.
    #[must_use]
    pub fn stream(&self, number: i32) -> Option<Kind> {
        let cell = self.streams.get(usize::try_from(number).ok()?)?;
        let look = || descriptor::kind(number).ok().filter(|_| !self.is_fixed);
        *cell.get_or_init(look)
    }

    /// A file that the profile names, of at most so many bytes; on a machine of given facts, an empty one.
    ///
    /// # Errors
    /// As for [`named::text`].
    pub fn named_text(&self, path: &Path, most: u64) -> Result<String, named::Refused> {
        match self.is_fixed {
            true => Ok(String::new()),
            false => named::text(path, most),
        }
    }

    /// What is in a file that is a part of the profile; nothing on a machine of given facts.
    ///
    /// # Errors
    /// As for [`text::bytes`].
    pub fn part_of_profile(&self, path: &Path, name: &str) -> Result<Vec<u8>, text::ReadError> {
        match self.is_fixed {
            true => Ok(Vec::new()),
            false => text::bytes(path, name),
        }
    }

    /// What the kernel executes for a program, as [`program::executed_for`] says; nothing on a machine of given facts.
    #[must_use]
    pub fn executed_for(&self, path: &Path) -> Option<PathBuf> {
        program::executed_for(path).filter(|_| !self.is_fixed)
    }

    /// Whether a file begins as a script does; what cannot be read is none, as far as anybody knows.
    #[must_use]
    pub fn is_script(&self, path: &Path) -> bool {
        !self.is_fixed && named::begins_with(path, *b"#!")
    }

    /// The regular file that the caller's descriptor of that number writes to, if it is one: its device and inode.
    #[must_use]
    pub fn written_file(&self, number: i32) -> Option<(u64, u64)> {
        match self.stream(number) {
            Some(Kind::File(device, inode)) => Some((device, inode)),
            _ => None,
        }
    }

    /// The same machine with this terminal, or with none: what is tried in the place of a command needs none,
    /// and tests give one.
    #[must_use]
    pub fn with_terminal(self, terminal: Option<Terminal>) -> Self {
        Self {
            terminal: Some(terminal),
            // What the caller has there is not what is given.
            streams: [OnceCell::from(None), OnceCell::new(), OnceCell::new()],
            ..self
        }
    }

    /// The terminal that the caller works at: its standard input and output.
    #[must_use]
    pub fn interactive_terminal(&self) -> Option<Terminal> {
        let both = |terminal: &Terminal| terminal.streams[0] && terminal.streams[1];
        match self.terminal {
            Some(given) => given.filter(both),
            // Most runs have a pipe or /dev/null there, of which nothing more has to be asked.
            None => match self.stream(0) {
                Some(Kind::Character(major)) if major != MEMORY => terminal::interactive(),
                _ => None,
            },
        }
    }

    /// Which terminal a standard stream of the caller leads to, if it leads to one: the number of its device.
    #[must_use]
    pub fn terminal_of(&self, stream: i32) -> Option<u32> {
        match self.terminal {
            None => crate::sys::terminal::device(stream).ok(),
            Some(given) => {
                let streams = (0..3).zip(given?.streams);
                let leads = |(number, leads): (i32, bool)| number == stream && leads;
                streams.into_iter().any(leads).then_some(0)
            }
        }
    }

    /// The terminal that one of the caller's standard streams is.
    #[must_use]
    pub fn any_terminal(&self) -> Option<Terminal> {
        self.terminal.unwrap_or_else(terminal::any)
    }

    /// The host's accounts.
    pub fn accounts(&self) -> &Accounts {
        self.accounts
            .get_or_init(|| Accounts::of(Path::new("/"), &self.tree.doubt))
    }

    /// The caller's network.
    pub fn networks(&self) -> &Networks {
        self.networks.get_or_init(|| {
            Networks::here().unwrap_or_else(|errno| {
                self.tree.doubt.note("/proc/net", errno);
                Networks::default()
            })
        })
    }

    /// Who resolves names, as far as that is not a service on this machine's own loopback.
    pub fn resolvers(&self) -> &[IpAddr] {
        self.resolvers.get_or_init(network::resolvers)
    }

    /// Where pasta(1) is, which carries for plain users.
    pub fn pasta(&self) -> Option<&Path> {
        let found = self.pasta.get_or_init(|| program::helper("pasta"));
        found.as_deref()
    }

    /// Where xdg-dbus-proxy(1) is, which stands between a command and message buses.
    pub fn bus_proxy(&self) -> Option<&Path> {
        let found = self
            .bus_proxy
            .get_or_init(|| program::helper("xdg-dbus-proxy"));
        found.as_deref()
    }

    /// The folder of what runs of this caller keep while they last.
    pub fn runtime(&self) -> Option<&Path> {
        let found = self.runtime.get_or_init(|| runtime::path_of_caller().ok());
        found.as_deref()
    }

    /// The folder for sockets of the run that this process will be, with a name that no other has.
    pub fn bus_folder(&self) -> Option<PathBuf> {
        let start = match self.is_fixed {
            true => 0,
            false => cgroup::start_time("self").unwrap_or(0),
        };
        let name = format!("bus-{}-{start}", self.caller.pid);
        Some(self.runtime()?.join(name))
    }

    /// Whether whoever has the caller's uid, or another one where root calls, may make tap interfaces.
    #[must_use]
    pub fn may_open_tun(&self) -> Option<bool> {
        let device = self.tree.target(Path::new(network::TUN));
        if device.kind == tree::Kind::Missing {
            return None;
        }
        let own = device.uid == self.caller.uid && !self.caller.has_rights();
        Some(device.mode & 0o006 == 0o006 || (own && device.mode & 0o600 == 0o600))
    }

    /// From here on, no plan chooses this address.
    pub fn avoid(&self, address: IpAddr) {
        self.avoided.borrow_mut().push(address);
    }

    /// Whether somebody was found to have it.
    #[must_use]
    pub fn is_avoided(&self, address: IpAddr) -> bool {
        self.avoided.borrow().contains(&address)
    }

    /// The sandbox of the caller's that runs under this name.
    ///
    /// # Errors
    /// There is none, or it cannot be joined.
    pub fn running(&self, name: &str) -> Result<runs::Running, runs::NotRunning> {
        (self.runs)(name)
    }

    /// The same machine, where sandboxes that run are found so.
    #[must_use]
    pub fn with_runs(self, runs: runs::Find) -> Self {
        Self { runs, ..self }
    }

    /// The same machine with this network, for tests.
    #[must_use]
    pub fn with_networks(self, networks: Networks) -> Self {
        Self {
            networks: OnceCell::from(networks),
            ..self
        }
    }

    /// What is mounted.
    pub fn mounts(&self) -> &Mounts {
        self.mounts.get_or_init(Mounts::here)
    }

    /// Whether the kernel can refuse to execute memory that was written.
    #[must_use]
    pub fn refuses_write_execute(&self) -> bool {
        let ask = crate::sys::process::can_refuse_write_execute;
        *self.write_execute.get_or_init(ask)
    }

    /// Whether a security module that labels processes is active.
    #[must_use]
    pub fn has_module(&self, module: Module) -> bool {
        if self.is_fixed {
            return module == Module::Apparmor;
        }
        match module {
            Module::Apparmor => std::fs::read_to_string("/sys/module/apparmor/parameters/enabled")
                .is_ok_and(|text| text.trim() == "Y"),
            Module::Selinux => Path::new("/sys/fs/selinux/enforce").exists(),
        }
    }

    /// The version of Landlock that the kernel has (landlock(7)); 0 where it has none, or a filter
    /// around us refuses it.
    #[must_use]
    pub fn landlock(&self) -> u32 {
        use nix::errno::Errno;
        // EPERM: a filter around us that does not know it. Anything else is no answer.
        let ask = || match crate::sys::landlock::abi() {
            Ok(version) => version,
            Err(Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EPERM) => 0,
            Err(errno) => {
                self.tree.doubt.note("/sys/kernel/security/landlock", errno);
                0
            }
        };
        *self.landlock.get_or_init(ask)
    }

    /// Whether /proc/sys is on a mount that is not read-only, as it mostly is in a container.
    #[must_use]
    pub fn has_writable_sysctls(&self) -> bool {
        use nix::sys::statvfs::{FsFlags, statvfs};
        *self.sysctls.get_or_init(|| {
            statvfs("/proc/sys").is_ok_and(|found| !found.flags().contains(FsFlags::ST_RDONLY))
        })
    }

    /// The files that a program needs to start.
    pub fn program_files(
        &self,
        name: &str,
        search: &str,
    ) -> Result<Vec<std::path::PathBuf>, program::ProgramError> {
        program::files(name, search)
    }

    /// Whether the kernel knows a namespace kind, by its name in `/proc/self/ns`.
    #[must_use]
    pub fn has_namespace(&self, name: &str) -> bool {
        // One listing instead of a look at each: the entries are links, dear to follow.
        let known = self.tree.list(Path::new("/proc/self/ns"));
        known.is_some_and(|known| known.iter().any(|one| one == name))
    }
}
