//! The stable codes of diagnostics. A code is never used again for something else.

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal,)*) => {
        /// A stable code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// `SBX` and four digits.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// What it says of its documentation here: the whole text.
            const fn doc(self) -> &'static str {
                match self { $(Code::$name => concat!($($doc),*),)* }
            }
        }
    };
}

codes! {
    /// The profile cannot be read: not a file, too large, not UTF-8.
    Unreadable = "SBX0001",
    /// The text is not TOML.
    Syntax = "SBX0002",
    /// A key that this table does not have.
    UnknownKey = "SBX0003",
    /// A value of the wrong type or form.
    WrongValue = "SBX0004",
    /// A key that must be there is not.
    MissingKey = "SBX0005",
    /// A variable that does not exist, or an environment variable without a value.
    UnknownVariable = "SBX0006",
    /// Two settings that exclude each other.
    Conflict = "SBX0007",
    /// A path that is not absolute, or leads upwards.
    BadPath = "SBX0008",
    /// Ids that overlap, are empty or out of range.
    BadIds = "SBX0009",
    /// A capability that does not exist.
    UnknownCapability = "SBX0010",
    /// A system call that does not exist.
    BadSystemCall = "SBX0011",
    /// A setting that needs another one.
    Needs = "SBX0012",
    /// Two mounts on one target.
    DuplicateTarget = "SBX0013",
    /// A mount below a mask, which does not hide it.
    BelowMask = "SBX0014",
    /// A mount below something that holds no other: a file, a queue, a terminal.
    BelowFile = "SBX0015",
    /// A symbolic link that would have to be made in a writable folder of the host.
    LinkInWritableTree = "SBX0016",
    /// A path that names the home of one person.
    NotPortable = "SBX0017",
    /// A setting that says what holds anyway.
    RepeatsDefault = "SBX0018",
    /// A tmpfs with fewer inodes than what is mounted in it needs.
    TooFewInodes = "SBX0019",
    /// The socket of a service that acts outside for whoever connects.
    HostService = "SBX0020",
    /// The whole of the host's files, or a whole home.
    WholeHost = "SBX0021",
    /// What the command can write to is executed outside of the sandbox.
    RunsOutside = "SBX0022",
    /// The host's own /proc, /sys or /dev.
    HostKernelTree = "SBX0023",
    /// A file system of the kernel that shows a namespace which is not the sandbox's.
    FilesystemWithoutNamespace = "SBX0024",
    /// A /proc that shows the processes of others.
    ProcOfHost = "SBX0025",
    /// A name without a namespace to hold it.
    NamesWithoutUts = "SBX0026",
    /// An id map without a new user namespace.
    MapWithoutUser = "SBX0027",
    /// An id that the map does not hold.
    OutsideMap = "SBX0028",
    /// A map onto the host's root.
    MapsHostRoot = "SBX0029",
    /// No init, and no pid namespace that would end every process.
    InitWithoutPid = "SBX0030",
    /// The host's network.
    HostNetwork = "SBX0031",
    /// A capability that is kept and dropped.
    KeptAndDropped = "SBX0032",
    /// A capability that is kept and gone once the command runs.
    LostAtExec = "SBX0033",
    /// A capability without the namespace that it acts on.
    WithoutNamespace = "SBX0034",
    /// A capability that has power in no user namespace but the host's first.
    HostCapability = "SBX0035",
    /// A capability that is nearly all of them.
    PowerfulCapability = "SBX0036",
    /// A capability whose system calls the filter refuses.
    CapabilityWithoutCall = "SBX0037",
    /// A system call that is allowed and that the kernel refuses without a capability.
    CallWithoutCapability = "SBX0038",
    /// A system call that is allowed and denied.
    AllowedAndDenied = "SBX0039",
    /// A denied system call without which nothing can start.
    EssentialCall = "SBX0040",
    /// What the loader of programs with shared libraries needs is denied.
    NoLoader = "SBX0041",
    /// A system call that only another architecture has.
    ForeignCall = "SBX0042",
    /// A terminal into which the command can type.
    TerminalInput = "SBX0043",
    /// A limit with which nothing can start.
    LimitTooSmall = "SBX0044",
    /// A soft limit above the hard one.
    SoftAboveHard = "SBX0045",
    /// A time to end that is longer than the time to run.
    GraceAboveWallTime = "SBX0046",
    /// A file system in memory that may hold more than there is memory.
    SizeAboveMemory = "SBX0047",
    /// Something that is asked for and switched off.
    SwitchedOff = "SBX0048",
    /// A setting without effect beside another one.
    NoEffect = "SBX0049",
    /// A variable that is inherited, and removed or set.
    InheritedInVain = "SBX0050",
    /// All variables of the caller.
    WholeEnvironment = "SBX0051",
    /// A working directory that nothing provides.
    NoWorkingDirectory = "SBX0052",
    /// A umask that lets everybody write, or not even the owner.
    OpenFiles = "SBX0053",
    /// A device that is visible and cannot be opened.
    DeviceNotOpenable = "SBX0055",
    /// A bound that slows down above the one that kills.
    HighAboveMemory = "SBX0056",
    /// A profile that extends itself, or too many that extend each other.
    ExtendsCycle = "SBX0060",
    /// A path under `remove` that names nothing in the profiles that are extended.
    NothingToRemove = "SBX0061",
    /// A parameter that does not exist, is declared wrongly, or has a value that it cannot have.
    BadParameter = "SBX0062",
    /// A parameter without a value.
    NoParameterValue = "SBX0063",
    /// A test that asserts nothing.
    EmptyTest = "SBX0080",
    /// An address that cannot be connected to as it is written.
    BadAddress = "SBX0081",
    /// Two tests of one name.
    DuplicateTest = "SBX0082",
    /// What a test asserts does not hold.
    TestFailed = "SBX0083",
    /// What a test tried proves nothing.
    Unproven = "SBX0084",
    /// No test was run.
    NoTest = "SBX0085",
    /// Nothing says what to run.
    NoCommand = "SBX0130",
    /// An account that is not there.
    NoAccount = "SBX0131",
    /// A descriptor that cannot be kept.
    BadDescriptor = "SBX0132",
    /// What the profile asks for cannot be had on this machine.
    NotHere = "SBX0100",
    /// Something that the profile names is not there.
    NotFound = "SBX0101",
    /// A step of the set-up failed; the command did not start.
    StepFailed = "SBX0102",
    /// The output cannot be written.
    Output = "SBX0103",
    /// A file that is to be written is there already.
    Exists = "SBX0104",
    /// A file or folder cannot be written.
    Unwritable = "SBX0105",
    /// A folder that is never granted as a project.
    NoProject = "SBX0106",
    /// Less would be enforced on this machine than the profile asks for.
    NotEnforced = "SBX0107",
    /// What a line of the profile comes to on this machine.
    OnThisMachine = "SBX0108",
    /// The profile permits more than a ceiling.
    ExceedsCeiling = "SBX0110",
    /// The system's ceiling could have been written by others than root.
    UntrustedCeiling = "SBX0111",
    /// A ceiling hides something whose place depends on a link.
    UnclearCeiling = "SBX0112",
    /// A revision of a profile cannot be read from its repository.
    NoRevision = "SBX0113",
    /// No run, or more than one, is called that.
    NoSandbox = "SBX0180",
    /// A sandbox that has ended, or one that still runs.
    NotRunning = "SBX0181",
    /// No folder for the records of runs.
    NoRecords = "SBX0182",
    /// A running sandbox that this caller cannot join, signal or stop.
    OutOfReach = "SBX0183",
    /// A set of system calls that does not exist.
    UnknownSet = "SBX0120",
    /// A condition on arguments that no call could meet, or that says nothing.
    BadCondition = "SBX0121",
    /// More conditions on arguments, or more system calls, than a filter can hold.
    TooManyConditions = "SBX0122",
    /// An allow-list under which only static programs can be started.
    StaticOnly = "SBX0123",
    /// System calls whose refusal is only logged.
    OnlyLogged = "SBX0124",
    /// A pattern of paths that cannot be used.
    BadPattern = "SBX0150",
    /// Families of sockets that are passed by.
    FamiliesPassedBy = "SBX0160",
    /// A setting of the kernel that belongs to no namespace of the sandbox.
    NotOfNamespace = "SBX0161",
    /// A published port without a network to publish it from.
    PublishedWithoutNetwork = "SBX0170",
    /// Addresses, ports or packets of a network that do not fit together.
    BadNetwork = "SBX0171",
    /// A command that the rules of its own profile do not let start.
    CannotStart = "SBX0172",
}

/// How bad a problem is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The profile is wrong: nothing runs under it.
    Error,
    /// The profile runs, and probably does not do what its author meant.
    Warning,
    /// Something that the author may like to know.
    Note,
}

impl Severity {
    /// The word, as messages and documents have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl Code {
    /// How bad it is. A code has one severity, so that what is denied can be said in advance.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::BelowMask
            | Self::NotPortable
            | Self::RepeatsDefault
            | Self::HostService
            | Self::WholeHost
            | Self::RunsOutside
            | Self::HostKernelTree
            | Self::DeviceNotOpenable
            | Self::ProcOfHost
            | Self::MapsHostRoot
            | Self::LostAtExec
            | Self::WithoutNamespace
            | Self::HostCapability
            | Self::PowerfulCapability
            | Self::CapabilityWithoutCall
            | Self::CallWithoutCapability
            | Self::NoLoader
            | Self::ForeignCall
            | Self::TerminalInput
            | Self::GraceAboveWallTime
            | Self::HighAboveMemory
            | Self::SizeAboveMemory
            | Self::SwitchedOff
            | Self::NoEffect
            | Self::FamiliesPassedBy
            | Self::InheritedInVain
            | Self::OpenFiles
            | Self::NotEnforced => Severity::Warning,
            Self::HostNetwork
            | Self::WholeEnvironment
            | Self::StaticOnly
            | Self::OnlyLogged
            | Self::OnThisMachine => Severity::Note,
            _ => Severity::Error,
        }
    }

    /// One line that says what it is: the first sentence of its documentation, which is also the
    /// title of its section in `docs/diagnostics.md`.
    #[must_use]
    pub fn title(self) -> &'static str {
        let doc = self.doc().trim();
        let end = doc.find(". ").unwrap_or(doc.len());
        doc.get(..end).unwrap_or(doc).trim_end_matches('.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
    }

    #[test]
    fn a_title_is_one_sentence() {
        assert_eq!(Code::Syntax.title(), "The text is not TOML");
        for code in Code::ALL {
            let title = code.title();
            assert!(!title.is_empty() && !title.contains(". "), "{title}");
        }
    }
}
