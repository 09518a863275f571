//! The label that a security module gives a program when it is executed.

use std::ffi::{CStr, CString};

/// A module that labels processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// AppArmor: a profile on top of the one that is there, which is all that it permits under no_new_privs.
    Apparmor,
    /// SELinux: a context.
    Selinux,
}

impl Module {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apparmor => "AppArmor",
            Self::Selinux => "SELinux",
        }
    }

    /// The key that asks for it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Apparmor => "apparmor",
            Self::Selinux => "selinux",
        }
    }

    /// Where it is told which label the next exec of a thread gives (proc_pid_attr(5)).
    #[must_use]
    pub const fn file(self) -> &'static CStr {
        match self {
            Self::Apparmor => c"/proc/thread-self/attr/apparmor/exec",
            Self::Selinux => c"/proc/thread-self/attr/exec",
        }
    }
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Whose.
    pub module: Module,
    /// What is written.
    pub text: CString,
}
