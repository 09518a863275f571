//! `--explain-denials`: which of the file calls that failed the sandbox has made fail, by which line, and what to write.
//!
//! A call that would have failed outside too is none of ours: what a profile does not decide is left out.

use super::inside::{Inside, Lost};
use super::{Answer, bind};
use crate::diag::Sources;
use crate::host::Host;
use crate::plan::Plan;
use crate::plan::op::landlock::Right;
use crate::report::denial::Denial;
use crate::report::files::{FailedCall, FailedCalls, Wants};
use crate::sections::Profile;
use nix::errno::Errno;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Explains what was seen of a run. What is the same to a person is one.
#[must_use]
pub fn explain(
    failed: &FailedCalls,
    profile: &Profile,
    plan: &Plan,
    host: &Host,
    sources: &Sources,
) -> Vec<Denial> {
    if failed.all.is_empty() {
        return Vec::new();
    }
    let inside = Inside::of(plan, host);
    let mut told: Vec<Denial> = Vec::new();
    let mut places = HashMap::new();
    for call in &failed.all {
        let Some((path, answer)) = inside.refuses(call, profile) else {
            continue;
        };
        let process = call.process.as_ref().map(ToString::to_string);
        let key = (path.clone(), call.errno as i32, answer.reason.clone());
        let at = *places.entry(key).or_insert(told.len());
        match told.get_mut(at) {
            Some(known) => {
                known.times += call.times;
                known.others |= call.others || known.process != process;
            }
            None => told.push(Denial {
                call: call.call.to_owned(),
                arguments: Some(format!("{:?}", path.display().to_string())),
                times: call.times,
                process,
                others: call.others,
                errno: format!("{:?}", call.errno),
                rule: answer.reason,
                only_if: None,
                line: answer.origin.display(sources).to_string(),
                column: answer
                    .origin
                    .region(sources)
                    .map(|(_, region)| region.start.column),
                remedy: answer.remedy.unwrap_or_default(),
            }),
        }
    }
    told
}

impl Inside<'_> {
    /// Of which path the sandbox has made a call fail, and why; `None` if it has not.
    fn refuses(&self, call: &FailedCall, profile: &Profile) -> Option<(PathBuf, Answer)> {
        let one = |path: &PathBuf| {
            let (path, answer) = match call.errno {
                Errno::ENOENT => self.misses(path, call.wants)?,
                _ => (path.clone(), self.forbids(path, call.wants, profile)?),
            };
            Some((path, answer))
        };
        call.paths.iter().find_map(one)
    }

    /// What is on this machine, and not inside: the file, or the folder in which it was to be made.
    fn misses(&self, path: &Path, wants: Wants) -> Option<(PathBuf, Answer)> {
        let there = |path: &Path| path.symlink_metadata().is_ok();
        let path = match path.parent() {
            _ if there(path) => path,
            Some(parent) if wants == Wants::Write && there(parent) => parent,
            _ => return None,
        };
        let lost = self.find(path).err()?;
        Some((path.to_owned(), self.lost(path, lost)))
    }

    /// Which line forbids what was wanted.
    fn forbids(&self, path: &Path, wants: Wants, profile: &Profile) -> Option<Answer> {
        let answer = match (wants, self.find(path)) {
            (Wants::Write, Err(Lost::Nothing(above))) => self.writes(&above.path, profile),
            // What the command has made itself, and then closed to itself.
            (_, Err(Lost::Nothing(_))) => return None,
            (_, Err(lost)) => self.lost(path, lost),
            (Wants::See, Ok(_)) => return None,
            (Wants::Read, Ok(_)) => self.reads(path, profile),
            (Wants::Execute, Ok(_)) => self.executes(path.to_str()?, profile),
            (Wants::Write, Ok(_)) => {
                let file = self.writes(path, profile);
                match path.parent() {
                    Some(parent) if file.allowed => {
                        // To make or to remove something changes its folder.
                        let answer = self.writes(parent, profile);
                        let listed = profile.landlock.bound(Right::Write);
                        match listed.is_some_and(|bound| bound.origin == answer.origin) {
                            true => answer,
                            false => Answer {
                                remedy: Some(bind(parent, ", read_only = false")),
                                ..answer
                            },
                        }
                    }
                    _ => file,
                }
            }
        };
        (!answer.allowed).then_some(answer)
    }
}
