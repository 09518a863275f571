//! `sandbox changes`: looks at what runs have kept, takes it over or throws it away.

use super::arguments::{ApplyChanges, Changes as Arguments, ChangesAction, DiffChanges};
use super::arguments::{DiscardChanges, ListChanges};
use super::{Refused, Session, output, output_json, variables};
use crate::changes::apply::{Permit, apply};
use crate::changes::compare::{Changes, compare};
use crate::changes::show;
use crate::changes::store::{self, About, Held, StoreError};
use crate::diag::{Code, Diagnostic, Origin};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The exit code where something was not taken over.
const LEFT: u8 = 1;

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Result<u8, Refused> {
    let variables = variables()?;
    let store = store::folder(&variables).ok_or_else(|| {
        let text = "there is no place for changes: the caller has no home";
        refusal(
            Code::NotHere,
            text.into(),
            "set XDG_STATE_HOME or HOME to an absolute path",
        )
    })?;
    match &arguments.action {
        ChangesAction::List(ListChanges { name: None, json }) => list(&store, *json),
        ChangesAction::List(ListChanges {
            name: Some(name),
            json,
        }) => tell(&store, name, *json, false),
        ChangesAction::Diff(DiffChanges { name, json }) => tell(&store, name, *json, true),
        ChangesAction::Apply(arguments) => take_over(&store, arguments, session),
        ChangesAction::Discard(DiscardChanges { names }) => {
            for name in names {
                let held = Held::take(&store, name).map_err(|error| wrong(&error))?;
                held.discard().map_err(|error| wrong(&error))?;
            }
            Ok(0)
        }
    }
}

fn refusal(code: Code, text: String, help: &str) -> Diagnostic {
    Diagnostic::new(code, &Origin::CommandLine, text).help(help)
}

fn wrong(error: &StoreError) -> Diagnostic {
    let (code, help) = match error {
        StoreError::Unknown(_) => (
            Code::NotFound,
            "`sandbox changes list` says which there are",
        ),
        StoreError::InUse(_) => (Code::NotHere, "wait until it has ended, or end it"),
        StoreError::Damaged(..) => (
            Code::NotHere,
            "look at it; what is no use any more, remove by hand",
        ),
        StoreError::Unsynced(_) => (
            Code::NotHere,
            "discard them, and run the command again; if the machine was shut down in good order, remove the link `unsynced` beside them",
        ),
        StoreError::OfAnother { .. } | StoreError::OnOverlay(_) | StoreError::Call(..) => (
            Code::NotHere,
            "see the permissions of the folder, and the log of the kernel",
        ),
    };
    refusal(code, error.to_string(), help)
}

/// What is kept under a name, beside the tree as it is.
fn changes(
    store: &Path,
    name: &str,
    onto: Option<&Path>,
) -> Result<(Held, Option<Changes>), Refused> {
    let held = Held::take(store, name).map_err(|error| wrong(&error))?;
    let Some(mut about) = held.about().map_err(|error| wrong(&error))? else {
        return Ok((held, None));
    };
    if let Some(onto) = onto {
        about = elsewhere(about, onto)?;
    }
    let upper = held.upper().map_err(|error| wrong(&error))?;
    let (source, unpacked) = (about.source.clone(), about.unpacked.is_some());
    let tree = about.open().map_err(|errno| {
        let text = format!("cannot open {}: {}", source.display(), errno.desc());
        let help = match unpacked {
            true => {
                "they are changes to it: unpack it again (`sandbox images unpack`), or discard them"
            }
            false => "they are changes to it: put it back, or discard them",
        };
        refusal(Code::NotFound, text, help)
    })?;
    let found = compare(about, tree, upper).map_err(|error| {
        let text = format!(
            "cannot compare {}: {}",
            show::escaped(source.join(&error.path).as_os_str().as_bytes()),
            error.errno.desc()
        );
        refusal(
            Code::NotHere,
            text,
            "who reads the changes needs the rights to read both, as the caller that made them has",
        )
    })?;
    Ok((held, Some(found)))
}

/// The same changes, to a copy of the tree that is the caller's own.
fn elsewhere(mut about: About, folder: &Path) -> Result<About, Refused> {
    if about.unpacked.is_none() {
        let text = format!(
            "these are changes to {}, and are taken over into that",
            show::escaped(about.source.as_os_str().as_bytes())
        );
        let help = "leave `--onto` out: it is for changes to an unpacked root";
        return Err(refusal(Code::Conflict, text, help).into());
    }
    let real = std::fs::canonicalize(folder).map_err(|error| {
        let shown = show::escaped(folder.as_os_str().as_bytes());
        let text = format!("cannot open {shown}: {error}");
        refusal(
            Code::NotFound,
            text,
            "name a folder that holds a copy of the tree",
        )
    })?;
    if real.parent().and_then(Path::parent) == about.real.parent().and_then(Path::parent) {
        let text = "this is an unpacked root of the cache itself, which others use";
        let help = "copy it to a folder of your own";
        return Err(refusal(Code::Conflict, text.into(), help).into());
    }
    (about.source, about.real) = (real.clone(), real);
    Ok(about)
}

fn list(store: &Path, as_json: bool) -> Result<u8, Refused> {
    let names = store::names(store).map_err(|error| {
        let text = format!("cannot list {}: {error}", store.display());
        refusal(Code::Unreadable, text, "see its permissions")
    })?;
    let mut text = String::new();
    let mut data = Vec::new();
    for name in names {
        let found = Held::take(store, &name).and_then(|held| held.about());
        let (about, used) = match found {
            Ok(about) => (about, false),
            Err(StoreError::InUse(_)) => (None, true),
            Err(error) => {
                let _ = writeln!(text, "{name}: {error}");
                data.push(json!({ "name": name, "error": error.to_string() }));
                continue;
            }
        };
        let (source, unpacked) =
            about.map_or((None, None), |about| (Some(about.source), about.unpacked));
        let words = match (&source, &unpacked, used) {
            (_, _, true) => "in use".into(),
            (Some(source), None, _) => show::escaped(source.as_os_str().as_bytes()),
            (Some(_), Some(digest), _) => {
                format!("the unpacked root {}", show::escaped(digest.as_bytes()))
            }
            (None, _, _) => "nothing yet".into(),
        };
        data.push(json!({ "name": name, "source": source, "unpacked": unpacked, "in_use": used }));
        let _ = writeln!(text, "{name}: {words}");
    }
    if as_json {
        output_json(&json!({ "version": show::VERSION, "changes": data }))?;
    } else {
        output(&text)?;
    }
    Ok(0)
}

fn tell(store: &Path, name: &str, as_json: bool, lines: bool) -> Result<u8, Refused> {
    let (_held, found) = changes(store, name, None)?;
    if as_json {
        let nothing = || json!({ "version": show::VERSION, "name": name, "source": Value::Null, "changes": [] });
        output_json(&found.map_or_else(nothing, |found| show::data(name, &found, lines)))?;
    } else if let Some(found) = found {
        let text = if lines {
            show::diff(&found)
        } else {
            show::lines(&found)
        };
        output(&text)?;
    }
    Ok(0)
}

fn take_over(store: &Path, arguments: &ApplyChanges, session: &Session) -> Result<u8, Refused> {
    let ApplyChanges {
        name,
        privileges,
        devices,
        overwrite,
        onto,
    } = arguments;
    let (held, found) = changes(store, name, onto.as_deref())?;
    let Some(found) = found else {
        return discard(held);
    };
    if let (Some(digest), None) = (&found.about.unpacked, onto) {
        let text = format!(
            "these are changes to the unpacked root {}, which every run with that digest shares: nothing is taken over into it",
            show::escaped(digest.as_bytes())
        );
        let tree = show::escaped(found.about.source.as_os_str().as_bytes());
        let help = format!(
            "runs that keep them have them already; for a tree of your own: `cp -a {tree} FOLDER`, then `sandbox changes apply --onto FOLDER {name}`"
        );
        return Err(refusal(Code::Conflict, text, &help).into());
    }
    let conflicts = found.list.iter().filter(|change| change.conflict.is_some());
    let conflicts: Vec<_> = conflicts.map(show::line).collect();
    if !conflicts.is_empty() && !overwrite {
        conflicts.iter().for_each(|line| session.say(line));
        let text = format!(
            "nothing is taken over: {} has changed since the command began to change it",
            found.about.source.display()
        );
        let help = "compare the two; `--overwrite` takes the changes over all the same";
        session.print(&[refusal(Code::Conflict, text, help)]);
        return Ok(LEFT);
    }
    let permit = Permit {
        privileges: *privileges,
        devices: *devices,
        conflicts: *overwrite,
    };
    let applied = apply(&found, permit);
    let shown = |path: &PathBuf| show::escaped(path.as_os_str().as_bytes());
    for (path, what) in &applied.without {
        session.say(&format!(
            "{} is taken over without {what}: `--privileges` takes it over too",
            shown(path)
        ));
    }
    for failed in &applied.failed {
        session.say(&format!(
            "{} is not taken over: {}",
            shown(&failed.path),
            failed.why
        ));
    }
    let whole = applied.without.is_empty() && applied.failed.is_empty();
    if onto.is_some() {
        return Ok(if whole { 0 } else { LEFT });
    }
    if whole {
        return discard(held);
    }
    session.say(&format!(
        "the changes `{name}` are kept: what was not taken over is still in them"
    ));
    held.renew(found.about).map_err(|error| wrong(&error))?;
    Ok(LEFT)
}

fn discard(held: Held) -> Result<u8, Refused> {
    held.discard().map_err(|error| wrong(&error))?;
    Ok(0)
}
