//! `hostname`, `domainname`: the names in the uts namespace (uts_namespaces(7)).

use super::Profile;
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::plan::draft::c_string;
use crate::plan::{Draft, Op, Phase};

/// Host and domain name.
#[derive(Clone, Debug)]
pub struct Names {
    /// The host name.
    pub hostname: At<String>,
    /// The NIS domain name, `(none)` where none is set.
    pub domainname: At<String>,
}

/// The longest name that the kernel takes (`__NEW_UTS_LEN`).
const LONGEST: usize = 64;

impl Names {
    /// Checks both names.
    pub fn check(hostname: At<String>, domainname: At<String>, problems: &mut Diagnostics) -> Self {
        let names = Self {
            hostname,
            domainname,
        };
        for (name, what) in [(&names.hostname, "host"), (&names.domainname, "domain")] {
            let printable = name.value.chars().all(|c| c.is_ascii_graphic());
            if name.value.is_empty() || name.value.len() > LONGEST || !printable {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        &name.origin,
                        format!("a {what} name has 1 to {LONGEST} printable ASCII characters"),
                    )
                    .help("for example: \"build\""),
                );
            }
        }
        names
    }

    /// A name that was asked for needs a namespace of its own.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        let uts = &profile.namespaces.uts;
        for name in [&self.hostname, &self.domainname] {
            if !uts.value.is_new() && !name.origin.is_default() {
                problems.push(
                    Diagnostic::new(
                        Code::NamesWithoutUts,
                        &name.origin,
                        "a name of its own needs a new uts namespace",
                    )
                    .and(&uts.origin, "not new here")
                    .help("write `uts = \"new\"` under [namespaces], or remove the name"),
                );
            }
        }
    }

    /// Grants nothing: a name in a uts namespace of the sandbox's own tells the host nothing, and
    /// where the namespace is not new, a name is refused.
    pub fn grants(&self) {
        let Self {
            hostname: _,
            domainname: _,
        } = self;
    }

    /// Sets the names.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        if profile.namespaces.uts.value.is_new() {
            let op = Op::SetHostname(c_string(&self.hostname.value));
            draft.step(Phase::Names, op, &self.hostname.origin);
            let op = Op::SetDomainname(c_string(&self.domainname.value));
            draft.step(Phase::Names, op, &self.domainname.origin);
        }
    }
}
