//! `[report]`: what is said about a run when it has ended.

use super::{Profile, host_path, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::Draft;
use crate::profile::node::Node;
use crate::profile::shape::Kind;
use crate::profile::table::{Value, read_string, wrong};
use crate::profile::variables::Variables;
use crate::review::{Area, Extent, Grant};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;

crate::table! {
    /// What is said about a run when it has ended.
    ///
    /// ```toml
    /// [report]
    /// file = "sandbox-report.json"
    /// stats = true
    /// ```
    pub struct RawReport as "[report]" {
        /// Where the report goes, as JSON: a file, which is replaced (relative to the project), or `"fd:N"`, a
        /// descriptor that the caller has opened.
        file: Target,
        /// Whether a summary for people goes to stderr.
        stats: bool = false,
    }
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a file.
    File(PathBuf),
    /// To a descriptor of the caller's.
    Descriptor(RawFd),
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(number) = text.strip_prefix("fd:") else {
            return match text.is_empty() {
                true => Err("a report needs a place"),
                false => Ok(Self::File(text.into())),
            };
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        match number.parse() {
            Ok(number) if digits => Ok(Self::Descriptor(number)),
            _ => Err("after `fd:` comes the number of a descriptor"),
        }
    }
}

impl Value for Target {
    const KIND: Kind = Kind::Text {
        what: "a path or fd:N",
        form: "",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let read = text.parse().map_err(|why: &str| {
            let help = "for example: file = \"report.json\", or file = \"fd:3\"";
            wrong(&origin, why.into(), help, problems);
        });
        read.ok()
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where the report goes, if anywhere; a path is absolute.
    pub target: Option<At<Target>>,
    /// Whether a summary is printed.
    pub stats: At<bool>,
}

impl Report {
    /// Makes the path absolute.
    pub fn check(
        raw: Option<At<RawReport>>,
        variables: &Variables,
        problems: &mut Diagnostics,
    ) -> Self {
        let (raw, _) = split(raw, "report");
        let target = raw.file.and_then(|At { value, origin }| {
            let target = match value {
                Target::Descriptor(_) => value,
                Target::File(path) => {
                    let text = At::new(path.to_string_lossy().into_owned(), origin.clone());
                    Target::File(host_path(&text, variables, problems)?)
                }
            };
            Some(At::new(target, origin))
        });
        Self {
            target,
            stats: raw.stats,
        }
    }

    /// The command must not write into its own report.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        if let Some(target) = &self.target
            && let Some(problem) = in_use(&target.value, &target.origin, profile)
        {
            problems.push(problem);
        }
    }

    /// No operation of the run's: said by `explain` all the same, since it changes a file of the host.
    pub fn note(&self, draft: &mut Draft<'_>) {
        if let Some(At { value, origin }) = &self.target {
            let text = match value {
                Target::File(path) => format!("a report replaces {}", path.display()),
                Target::Descriptor(number) => format!("a report goes to descriptor {number}"),
            };
            draft.note(origin, text);
        }
    }

    /// A report replaces a file of the host's, with the caller's rights.
    pub fn grants(&self) -> Vec<Grant> {
        let Self { target, stats: _ } = self;
        let grant = target.iter().map(|target| {
            let (extent, words) = match &target.value {
                Target::File(path) => (
                    Extent::Same(path.display().to_string()),
                    format!("have {} replaced by a report", path.display()),
                ),
                Target::Descriptor(number) => (
                    Extent::Same(format!("fd:{number}")),
                    format!("have a report written to the caller's descriptor {number}"),
                ),
            };
            let key = "report:file";
            Grant::new(Area::Filesystem, key, extent, words, &target.origin).share(100)
        });
        grant.collect()
    }
}

/// What is wrong with a descriptor that the command keeps as well.
#[must_use]
pub fn in_use(target: &Target, origin: &Origin, profile: &Profile) -> Option<Diagnostic> {
    let Target::Descriptor(number) = target else {
        return None;
    };
    let kept = profile.process.keeps(*number)?;
    let message = format!("descriptor {number} is for the report, and the command keeps it");
    Some(
        Diagnostic::new(Code::Conflict, origin, message)
            .and(kept, "kept here")
            .help("open another descriptor for the report, for example: sandbox … 9>report.json"),
    )
}
