//! What an attack is, and what is asked of it.

use crate::promises::skip;
use crate::runners::{Runner, attempt};
use crate::stage::Stage;

/// Where an attack works without a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// For everybody.
    Works,
    /// For root; a plain user is stopped by the kernel already.
    Root,
    /// For root, where the machine has what it takes: tried, and skipped with a word where it has not.
    Perhaps,
    /// Not here, for this reason: it would harm the machine, or needs what machines seldom have.
    /// Such an attack has to be seen working in some other way.
    Never(&'static str),
}

/// What the caller gives as standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Null,
    /// A folder that the command is not given.
    Folder,
    /// A pipe that others hold too.
    Pipe,
    /// A file of the caller's.
    File,
}

/// Where an attack is told from its absence.
#[derive(Clone, Copy, Debug)]
pub enum Evidence {
    /// Inside: the script ends with 0 if it had its way.
    Inside,
    /// Outside, by what is there afterwards.
    Outside(fn(&Stage) -> bool),
}

/// An attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// The name of its test.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Where it works bare.
    pub bare: Bare,
    /// Python: an `OSError` or a failed `assert` says that it was stopped.
    pub script: &'static str,
    /// Python that runs on the host first; what it prints is `A.before` for the attack.
    pub before: &'static str,
    /// Whether it runs in a terminal of its own.
    pub terminal: bool,
    /// Whether its standard output is a file of the caller's that holds something already.
    pub log: bool,
    /// What its standard input is.
    pub input: Input,
    /// A folder of the project that the profile mounts a tmpfs on.
    pub mount: Option<&'static str>,
    /// More of the profile: only then is the sandbox expected to stop it.
    pub profile: &'static str,
    /// Whether only the profile `ci` is expected to stop it: where it is stopped, ordinary work may miss it.
    pub by_ci: bool,
    /// Where it is told from its absence.
    pub evidence: Evidence,
    /// What the sandbox says where it does not even start because of it.
    pub refusal: &'static str,
}

impl Attack {
    /// One that is told inside, and needs nothing else.
    pub const fn new(
        name: &'static str,
        what: &'static str,
        bare: Bare,
        script: &'static str,
    ) -> Self {
        Self {
            name,
            what,
            bare,
            script,
            before: "",
            terminal: false,
            log: false,
            input: Input::Null,
            mount: None,
            profile: "",
            by_ci: false,
            evidence: Evidence::Inside,
            refusal: "",
        }
    }
}

/// How an attack went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It had its way.
    Worked,
    /// It was stopped; what the script or the sandbox said.
    Blocked(String),
    /// The script went wrong, or the sandbox did not start: nothing is known.
    Unknown(String),
}

/// Asks that an attack works bare, where it should, and neither in a sandbox of the defaults nor under the profile `ci`.
#[track_caller]
pub fn blocked(attack: &Attack) {
    let root = nix::unistd::geteuid().is_root();
    let bare = match attack.bare {
        Bare::Root | Bare::Perhaps if !root => None,
        Bare::Never(_) => None,
        _ => Some(attempt(attack, Runner::Bare)),
    };
    if let Some(bare) = &bare
        && attack.bare != Bare::Perhaps
    {
        assert_eq!(*bare, Verdict::Worked, "{}, without a sandbox", attack.what);
    }
    let runners = [Runner::Default, Runner::Ci];
    for runner in &runners[usize::from(attack.by_ci)..] {
        let verdict = attempt(attack, *runner);
        assert!(
            matches!(verdict, Verdict::Blocked(_)),
            "{}, in a sandbox ({runner:?}): {verdict:?}",
            attack.what
        );
    }
    if let Some(Verdict::Blocked(said) | Verdict::Unknown(said)) = bare {
        skip(
            attack.name,
            &format!("this machine stops it bare, too: {said}"),
        );
    }
}
