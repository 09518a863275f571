//! `sandbox images`: the roots that were unpacked.

use super::arguments::{Images, ListImages, OfImages, PinImage, PruneImages, UnpackImage};
use super::{Refused, Session, output, output_json, variables};
use crate::diag::{Code, Diagnostic, Origin, printable};
use crate::host::images::cache::{Cache, Entry};
use crate::host::images::{Owners, Reference};
use crate::profile::value::Size;
use crate::running::joined;
use crate::sections::rootfs;
use crate::supervisor::{prune, resolve};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The version of the JSON form.
const VERSION: u32 = 1;

/// The exit code where something is still there that was named.
const LEFT: u8 = 1;

pub(super) fn run(arguments: &Images, session: &mut Session) -> Result<u8, Refused> {
    match &arguments.what {
        None => list(&ListImages { json: false }),
        Some(OfImages::List(arguments)) => list(arguments),
        Some(OfImages::Unpack(arguments)) => unpack(arguments, session),
        Some(OfImages::Pin(arguments)) => pin(arguments),
        Some(OfImages::Prune(arguments)) => remove(arguments),
    }
}

/// All of them.
#[derive(Serialize)]
struct Listed {
    version: u32,
    cache: PathBuf,
    images: Vec<Root>,
}

#[derive(Serialize)]
struct Root {
    name: String,
    /// The path of what it was unpacked from.
    source: Option<String>,
    entries: u64,
    bytes: u64,
    in_use: bool,
}

fn list(arguments: &ListImages) -> Result<u8, Refused> {
    let cache = cache()?;
    let entries = cache.entries().map_err(refusal)?;
    let listed = Listed {
        version: VERSION,
        cache: cache.base().to_owned(),
        images: entries.iter().map(root).collect(),
    };
    if arguments.json {
        output_json(&listed)?;
        return Ok(0);
    }
    let mut out = String::new();
    for root in &listed.images {
        let used = if root.in_use { ", in use" } else { "" };
        let source = root.source.as_deref().unwrap_or("an unknown source");
        let _ = writeln!(
            out,
            "{}\n    from {}: {} members, {}{used}",
            printable(&root.name),
            printable(source),
            root.entries,
            rounded(root.bytes)
        );
    }
    if listed.images.is_empty() {
        let _ = writeln!(out, "nothing is unpacked in {}", listed.cache.display());
    }
    output(&out)?;
    Ok(0)
}

/// A size that a person reads.
fn rounded(bytes: u64) -> Size {
    match bytes {
        0..0x10_0000 => Size(bytes),
        0x10_0000..0x4000_0000 => Size(bytes >> 20 << 20),
        _ => Size(bytes >> 30 << 30),
    }
}

fn root(entry: &Entry) -> Root {
    let name = entry.folder.file_name().unwrap_or_default();
    let description = entry.description().ok();
    // Who has a shared lock keeps others from an exclusive one.
    let in_use = std::fs::File::open(&entry.folder).is_ok_and(|folder| folder.try_lock().is_err());
    Root {
        name: name.to_string_lossy().into_owned(),
        entries: description.as_ref().map_or(0, |d| d.entries),
        bytes: description.as_ref().map_or(0, |d| d.bytes),
        source: description.map(|d| d.source),
        in_use,
    }
}

fn unpack(arguments: &UnpackImage, session: &mut Session) -> Result<u8, Refused> {
    session.ceilings.clone_from(&arguments.ceilings.names);
    let profile = session.profile(&arguments.selection)?;
    session.hold(&profile, &joined::here())?;
    if !profile.rootfs.is_packed() {
        let message = "the root of this profile does not have to be unpacked";
        return Err(Diagnostic::new(Code::Needs, &Origin::CommandLine, message)
            .help("write `archive` or `image` under [rootfs]")
            .into());
    }
    let done = match session.unpack(&profile)? {
        true => "unpacked\n",
        false => "it is unpacked already\n",
    };
    output(done)?;
    Ok(0)
}

/// Asks a registry, and says what to write.
fn pin(arguments: &PinImage) -> Result<u8, Refused> {
    let text = &arguments.reference;
    let text = text.strip_prefix(rootfs::REGISTRY).unwrap_or(text);
    let reference = Reference::parse(text).map_err(|why| {
        let message = format!("`{text}` is no reference to an image: {why}");
        Diagnostic::new(Code::WrongValue, &Origin::CommandLine, message)
            .help("for example: registry:docker.io/library/debian:12")
    })?;
    if reference.tag().is_none() {
        let message = format!("{reference} has no tag, so that there is nothing to ask");
        let problem = Diagnostic::new(Code::Needs, &Origin::CommandLine, message);
        return Err(problem.help("it is named by its digest already").into());
    }
    let files = rootfs::credentials(&variables()?);
    let digest = resolve(&reference, &files).map_err(|why| {
        let why = printable(&why).into_owned();
        Diagnostic::new(Code::NotHere, &Origin::CommandLine, why)
            .help("see docs/images.md for whom a registry answers")
    })?;
    output(&format!("image = \"{}\"\n", reference.pinned(digest)))?;
    Ok(0)
}

/// What became of them.
#[derive(Serialize)]
struct Removed {
    version: u32,
    removed: Vec<PathBuf>,
    in_use: Vec<PathBuf>,
}

fn remove(arguments: &PruneImages) -> Result<u8, Refused> {
    let cache = cache()?;
    let host = joined::here();
    let chosen = Some(&arguments.names[..]).filter(|names| !names.is_empty());
    if let Some(names) = chosen {
        let known = cache.entries().map_err(refusal)?;
        let is_known = |name: &&String| known.iter().any(|e| e.folder.ends_with(name.as_str()));
        if let Some(name) = names.iter().find(|name| !is_known(name)) {
            let message = format!("no unpacked root is named `{name}`");
            return Err(
                Diagnostic::new(Code::NotFound, &Origin::CommandLine, message)
                    .help("`sandbox images` lists them")
                    .into(),
            );
        }
    }
    let pruned = prune(&cache, &Owners::of_caller(&host), chosen).map_err(refusal)?;
    let (removed, kept): (Vec<_>, Vec<_>) = pruned.into_iter().partition(|one| one.is_gone);
    let paths = |list: Vec<crate::supervisor::Pruned>| list.into_iter().map(|p| p.folder);
    let found = Removed {
        version: VERSION,
        removed: paths(removed).collect(),
        in_use: paths(kept).collect(),
    };
    if arguments.json {
        output_json(&found)?;
    } else {
        output(&words(&found))?;
    }
    Ok(if chosen.is_some() && !found.in_use.is_empty() {
        LEFT
    } else {
        0
    })
}

fn words(found: &Removed) -> String {
    let mut out = String::new();
    let shown = |path: &Path| printable(&path.display().to_string()).into_owned();
    for path in &found.removed {
        let _ = writeln!(out, "removed {}", shown(path));
    }
    for path in &found.in_use {
        let _ = writeln!(out, "in use  {}", shown(path));
    }
    if out.is_empty() {
        out.push_str("there was nothing to remove\n");
    }
    out
}

/// The caller's cache.
fn cache() -> Result<Cache, Refused> {
    let variables = variables()?;
    let caches = variables.environment.get("XDG_CACHE_HOME");
    let cache = Cache::of(
        variables.uid,
        caches.map(String::as_str),
        variables.home.as_deref(),
    );
    Ok(cache.ok_or_else(|| refusal("there is no home, and so no cache".into()))?)
}

fn refusal(why: String) -> Diagnostic {
    Diagnostic::new(Code::NotHere, &Origin::CommandLine, why)
        .help("set XDG_CACHE_HOME to a folder that only the caller may write to")
}
