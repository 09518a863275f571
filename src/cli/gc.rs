//! `sandbox gc`: takes away what runs have left whose supervisor was killed.

use super::arguments::Gc;
use super::{Refused, Session, output, output_json, variables};
use crate::changes::store;
use crate::diag::{Code, Diagnostic, Origin, printable};
use crate::host::Host;
use crate::host::cgroup::Cgroups;
use crate::host::images::{Cache, Owners};
use crate::running::{Folder, claim, folder};
use crate::supervisor::{cgroup, prune, sweep_buses, sweep_mount_points};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The version of the JSON form.
const VERSION: u32 = 1;

/// The exit code where something is still there.
const LEFT: u8 = 1;

/// What was found.
#[derive(Default, Serialize)]
struct Found {
    version: u32,
    removed: Vec<Removed>,
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Removed {
    /// `cgroup`, `mount point`, `changes`, `half a root`, `record` or `socket of a bus`.
    kind: &'static str,
    path: PathBuf,
    /// How many processes were still in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<usize>,
}

#[derive(Serialize)]
struct Failed {
    kind: &'static str,
    path: PathBuf,
    why: String,
}

pub(super) fn run(arguments: &Gc, session: &mut Session) -> Result<u8, Refused> {
    let mut found = Found {
        version: VERSION,
        ..Found::default()
    };
    match Cgroups::read() {
        // One hierarchy may be mounted in several places.
        Ok(cgroups) => cgroups
            .tops()
            .into_iter()
            .flat_map(cgroup::sweep_below)
            .for_each(|swept| found.group(swept)),
        Err(error) => session.say(&format!("no cgroups are looked at: {error}")),
    }
    let thrown = store::folder(&variables()?).map(|folder| store::sweep(&folder));
    let removed = thrown.into_iter().flatten().map(|path| Removed {
        kind: "changes",
        path,
        processes: None,
    });
    found.removed.extend(removed);
    // Without a folder for records, none can have been left.
    let records = folder::path_of_caller().ok();
    if let Some(records) = records.and_then(|path| Folder::open(&path)) {
        for entry in claim::sweep(&records) {
            found.removed.push(Removed {
                kind: "record",
                path: records.path().join(entry.file()),
                processes: None,
            });
        }
    }
    if let Some(records) = folder::path_of_caller()
        .ok()
        .and_then(|path| Folder::open(&path))
    {
        found
            .removed
            .extend(sweep_buses(&records).into_iter().map(|path| Removed {
                kind: "socket of a bus",
                path,
                processes: None,
            }));
    }
    for folder in folders(arguments)? {
        let swept = sweep_mount_points(&folder).map_err(|errno| {
            let message = format!("cannot look into {}: {}", folder.display(), errno.desc());
            Diagnostic::new(Code::Unreadable, &Origin::CommandLine, message)
                .help("name a folder that can be read")
        })?;
        let removed = swept.into_iter().map(|path| Removed {
            kind: "mount point",
            path,
            processes: None,
        });
        found.removed.extend(removed);
    }
    found.roots()?;
    if arguments.json {
        output_json(&found)?;
    } else {
        output(&found.text())?;
    }
    Ok(if found.failed.is_empty() { 0 } else { LEFT })
}

/// Those that are named, else the project, else where we are.
fn folders(arguments: &Gc) -> Result<Vec<PathBuf>, Refused> {
    if !arguments.folders.is_empty() {
        return Ok(arguments.folders.clone());
    }
    let variables = variables()?;
    let folder = variables.project.or(variables.working_directory);
    Ok(folder.into_iter().collect())
}

impl Found {
    /// Roots whose unpacking was killed. Whole ones are of use, and `sandbox images prune` removes them.
    fn roots(&mut self) -> Result<(), Refused> {
        let kind = "half a root";
        let variables = variables()?;
        let caches = variables.environment.get("XDG_CACHE_HOME");
        let home = variables.home.as_deref();
        let Some(cache) = Cache::of(variables.uid, caches.map(String::as_str), home) else {
            return Ok(());
        };
        match prune(&cache, &Owners::of_caller(&Host::here()), Some(&[])) {
            Ok(pruned) => {
                let gone = pruned.into_iter().filter(|one| one.is_gone);
                self.removed.extend(gone.map(|one| Removed {
                    kind,
                    path: one.folder,
                    processes: None,
                }));
            }
            Err(why) => self.failed.push(Failed {
                kind,
                path: cache.base().to_owned(),
                why,
            }),
        }
        Ok(())
    }

    fn group(&mut self, (path, result): cgroup::Swept) {
        let kind = "cgroup";
        match result {
            Ok(processes) => self.removed.push(Removed {
                kind,
                path,
                processes: Some(processes),
            }),
            Err(error) => self.failed.push(Failed {
                kind,
                path,
                why: error.to_string(),
            }),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for Removed {
            kind,
            path,
            processes,
        } in &self.removed
        {
            let path = path.display().to_string();
            let _ = write!(out, "removed {kind} {}", printable(&path));
            match processes {
                None | Some(0) => {}
                Some(1) => out.push_str(" with 1 process"),
                Some(n) => {
                    let _ = write!(out, " with {n} processes");
                }
            }
            out.push('\n');
        }
        for Failed { kind, path, why } in &self.failed {
            let path = path.display().to_string();
            let _ = writeln!(
                out,
                "cannot remove {kind} {}: {}",
                printable(&path),
                printable(why)
            );
        }
        if out.is_empty() {
            out.push_str("nothing was left behind\n");
        }
        out
    }
}
