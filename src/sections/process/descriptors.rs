//! Which descriptors of the caller the command keeps.

use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::descriptors::Inherited;
use crate::plan::op::Op;
use crate::plan::{Draft, Phase};
use crate::profile::table::List;
use crate::review::{Area, Extent, Grant};
use crate::sys::descriptor::Kind;

/// Those besides 0 to 2, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptors(Vec<At<u32>>);

/// The standard streams, and how a shell is told where one leads.
const STREAMS: &[(i32, &str, &str)] = &[
    (0, "the standard input", "<"),
    (1, "the standard output", ">"),
    (2, "the standard error", "2>"),
];

/// The kernel's own bound (fs.nr_open(5) goes no further).
const MOST: u32 = 1 << 30;

impl Descriptors {
    pub(super) fn check(raw: Option<At<List<u32>>>, problems: &mut Diagnostics) -> Self {
        let mut kept = raw.map(|list| list.value.0).unwrap_or_default();
        for number in &kept {
            let what = match number.value {
                0..=2 => "the command has 0 to 2 anyway",
                3..MOST => continue,
                _ => "no descriptor has such a number",
            };
            problems.push(
                Diagnostic::new(Code::WrongValue, &number.origin, what)
                    .help("name those from 3 on, for example: descriptors = [3]"),
            );
        }
        kept.sort_by_key(|number| number.value);
        kept.dedup_by_key(|number| number.value);
        Self(kept)
    }

    /// Through a descriptor the command has whatever the caller opened.
    pub(super) fn grants(&self) -> impl Iterator<Item = Grant> {
        self.0.iter().map(|number| {
            let n = u64::from(number.value);
            let extent = Extent::Numbers(vec![(n, n)]);
            let words = format!("use the caller's descriptor {n}");
            let key = "process:descriptors";
            Grant::new(Area::Process, key, extent, words, &number.origin).share(1_000)
        })
    }

    /// The line that keeps a descriptor, if one does.
    pub(super) fn keeps(&self, number: i32) -> Option<&Origin> {
        let mut kept = self.0.iter();
        let found = kept.find(|kept| i32::try_from(kept.value) == Ok(number));
        found.map(|kept| &kept.origin)
    }

    pub(super) fn steps(&self, builds_root: bool, draft: &mut Draft<'_>) {
        let default = Origin::Default("process.descriptors");
        for (number, name, sign) in STREAMS {
            if builds_root && draft.host.stream(*number) == Some(Kind::Directory) {
                let message = format!("{name} is a directory, which leads out of the sandbox");
                draft.problem(
                    Diagnostic::new(Code::BadDescriptor, &default, message).help(format!(
                        "mount what is needed of it with [[mounts]], and give the run a file or a pipe: sandbox … {sign}/dev/null"
                    )),
                );
            }
        }
        for number in &self.0 {
            let descriptor = i32::try_from(number.value).unwrap_or(i32::MAX);
            let (what, help) = match draft.host.descriptor(descriptor) {
                Some(Inherited::Harmless) => continue,
                None => (
                    "is not open".to_owned(),
                    format!("open it for the run, for example: sandbox … {descriptor}<FILE"),
                ),
                Some(Inherited::LeadsOut(what)) => (
                    format!("is {what}, which leads out of the sandbox"),
                    "mount what is needed of it with [[mounts]], or keep a file, a pipe or a socket".into(),
                ),
            };
            let message = format!("descriptor {descriptor} {what}");
            draft.problem(Diagnostic::new(Code::BadDescriptor, &number.origin, message).help(help));
        }
        let origin = self.0.first().map_or(&default, |first| &first.origin);
        let kept = self.0.iter().filter_map(|n| i32::try_from(n.value).ok());
        let op = Op::CloseDescriptors {
            first: 3,
            kept: kept.collect(),
        };
        draft.step(Phase::Descriptors, op, origin);
    }
}
