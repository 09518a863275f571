//! `parent` and `name`: where the group is made.

use super::Limits;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, printable};
use crate::host::cgroup::{LEAF, run_name};
use crate::review::{Area, Extent, Grant};
use std::path::{Component, Path, PathBuf};

/// The longest name of a file (`NAME_MAX`), less what stands in front of it in the sign.
const LONGEST: usize = 200;

/// The path of a group that is to be the parent.
pub(super) fn parent(raw: Option<At<String>>, problems: &mut Diagnostics) -> Option<At<PathBuf>> {
    let At { value, origin } = raw?;
    let path = Path::new(&value);
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    let mount = path.starts_with("/sys/fs/cgroup");
    if path.is_absolute() && !mount && path.components().all(plain) && !value.contains(['\0', '\n'])
    {
        return Some(At::new(path.components().collect(), origin));
    }
    let help = match path.strip_prefix("/sys/fs/cgroup") {
        Ok(rest) if mount => format!(
            "write the path below the mount, for example \"/{}\" on cgroup v2",
            rest.display()
        ),
        _ => "write it as /proc/self/cgroup has it, for example \"/machine/builds\"".into(),
    };
    let message = format!("`{}` is no path of a cgroup", printable(&value));
    problems.push(Diagnostic::new(Code::BadPath, &origin, message).help(help));
    None
}

/// The name of the group. Names of the kernel's own files have a dot after the controller, and those of the sandbox
/// say whose a group is.
pub(super) fn name(raw: Option<At<String>>, problems: &mut Diagnostics) -> Option<At<String>> {
    let At { value, origin } = raw?;
    let known = |c: char| c.is_ascii_alphanumeric() || "_-.:@".contains(c);
    let begins = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let why = if value.is_empty() || value.len() > LONGEST {
        format!("a name has 1 to {LONGEST} bytes")
    } else if !begins || !value.chars().all(known) {
        "it has a letter, a digit or `_` in front, and after it those and `-`, `.`, `:`, `@`".into()
    } else if run_name(&value).is_some() || value == LEAF {
        "the sandbox recognises its own groups by such a name".into()
    } else if value.starts_with("cgroup.") {
        "the kernel's own files begin with `cgroup.`".into()
    } else {
        return Some(At::new(value, origin));
    };
    let message = format!("`{}` is no name for a cgroup: {why}", printable(&value));
    problems.push(
        Diagnostic::new(Code::WrongValue, &origin, message).help("for example: name = \"build-7\""),
    );
    None
}

impl Limits {
    /// Where the group is made, as far as the profile says it.
    pub(super) fn placed(&self) -> impl Iterator<Item = (&'static str, &Origin)> {
        let parent = self.parent.iter().map(|at| ("parent", &at.origin));
        parent.chain(self.name.iter().map(|at| ("name", &at.origin)))
    }

    /// No group is made for its own sake.
    pub fn relate_group(&self, devices: bool, problems: &mut Diagnostics) {
        if devices || self.named().next().is_some() {
            return;
        }
        for (key, origin) in self.placed() {
            let message =
                format!("there is no limit that takes a cgroup, and so no `{key}` of one");
            problems.push(
                Diagnostic::new(Code::NoEffect, origin, message)
                    .help("set one, for example: pids = 1000; or remove the line"),
            );
        }
    }

    /// The caller's limits hold below its own group alone.
    pub(super) fn grant_of_parent(&self, off: bool) -> Grant {
        let key = "limit:parent";
        match self.parent.as_ref().filter(|_| !off) {
            None => Grant::rank(
                Area::Limits,
                key,
                0,
                "have no more than the caller's cgroup",
                &Origin::Default("limits.parent"),
            ),
            Some(At { value, origin }) => {
                let path = value.display().to_string();
                let words = format!("have what the cgroup {path} has, and not only the caller's");
                Grant::new(Area::Limits, key, Extent::Same(path), words, origin).share(1_500)
            }
        }
    }
}
