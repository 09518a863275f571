//! Unpacking archives and images into the cache: the preparation of a run whose root is not there yet.
//!
//! Made aside, and moved when it is whole and on the disk, so that a kill at any moment leaves nothing that
//! would be taken for a root. What it leaves is taken away by the next one who unpacks the same, and by
//! `sandbox images prune`. An image in a registry becomes a layout first, which goes once it is unpacked.

mod namespace;
mod place;
mod prune;
mod registry;
mod tree;

pub use prune::{Pruned, prune};
pub use registry::resolve;

use super::Failure;
use crate::host::images::archive::{Members, unread};
use crate::host::images::cache::{Cache, Description, VERSION};
use crate::host::images::layout::{Config, Image, wrong_digest};
use crate::host::images::stream::{Hashed, Stream};
use crate::host::images::{Digest, Reference, Source, Unpacking};
use crate::plan::{Op, Plan};
use place::Place;
use rustix::fs::Stat;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tree::Tree;

/// Performs a plan that only prepares a run ([`Plan::is_preparation`]). The run has to be planned anew
/// after that.
///
/// # Errors
/// The step that failed and why.
pub fn prepare(plan: &Plan) -> Result<(), Failure> {
    for (number, step) in plan.steps.iter().enumerate() {
        if let Op::Unpack(unpacking) = &step.op {
            unpack(unpacking)
                .map_err(|why| Failure::text(number, crate::diag::printable(&why).into_owned()))?;
        }
    }
    Ok(())
}

/// What is unpacked: layers over layers, of which an archive is one.
enum Opened {
    Archive { file: File, stat: Stat },
    Image(Image),
}

/// Why a layer is not unpacked whose digest says what it decompresses to. No program is known to write any.
const COMPRESSED: &str = "it is compressed, and has only a digest of what it decompresses to: save the image as an OCI layout";

fn unpack(unpacking: &Unpacking) -> Result<(), String> {
    let path = match &unpacking.source {
        Source::Registry {
            reference,
            credentials,
        } => return fetch(unpacking, reference, credentials),
        Source::Archive(path) | Source::Image { path, .. } => path,
    };
    let (opened, digest) = open(&unpacking.source, path)?;
    if let Some(expected) = unpacking
        .digest
        .as_ref()
        .filter(|expected| **expected != digest)
    {
        return Err(format!("it has the digest {digest}, and not {expected}"));
    }
    make(unpacking, &opened, &digest)?;
    match &opened {
        Opened::Archive { stat, .. } => {
            place::remember(&unpacking.cache, &Cache::note(stat), &digest)
        }
        Opened::Image(_) => Ok(()),
    }
}

/// Fetches an image, and unpacks it. What was fetched goes in any case.
fn fetch(
    unpacking: &Unpacking,
    reference: &Reference,
    credentials: &[PathBuf],
) -> Result<(), String> {
    let Unpacking {
        bounds,
        owners,
        cache,
        ..
    } = unpacking;
    let wanted = unpacking.digest.as_ref().ok_or("its digest is not known")?;
    // Whoever wants the same waits here, and then finds the root.
    let name = format!("{}.fetched", Cache::name(wanted, owners));
    let Some(place) = Place::begin(cache, &name)? else {
        return Ok(());
    };
    let fetched = || {
        if cache.entry(wanted, owners)?.is_some() {
            return Ok(());
        }
        let layout = place.layout()?;
        let image = registry::fetch(reference, wanted, *bounds, credentials, &layout)?;
        let digest = image.digest.clone();
        make(unpacking, &Opened::Image(image), &digest)?;
        match digest == *wanted {
            true => Ok(()),
            false => place::remember(cache, &Cache::index_note(wanted), &digest),
        }
    };
    let result = fetched();
    let cleared = place.clear();
    place.give_up();
    result.and(cleared)
}

/// Makes the root, unless it is there by now.
fn make(unpacking: &Unpacking, opened: &Opened, digest: &Digest) -> Result<(), String> {
    let name = Cache::name(digest, &unpacking.owners);
    let Some(place) = Place::begin(&unpacking.cache, &name)? else {
        return Ok(());
    };
    let counts = namespace::within(&unpacking.owners, || {
        let root = place.root()?;
        let tree = Tree::new(root, unpacking.bounds, &unpacking.owners);
        let filled = opened.fill(tree, digest);
        // Half a root is of no use, and may be large.
        let (entries, bytes) = filled.inspect_err(|_| drop(place.clear()))?;
        Ok(format!("{entries} {bytes}"))
    });
    let counts = counts.inspect_err(|_| place.give_up())?;
    let mut counts = counts.split(' ').map(|count| count.parse().unwrap_or(0));
    place.finish(&Description {
        version: VERSION,
        digest: digest.to_string(),
        source: unpacking.source.to_string(),
        entries: counts.next().unwrap_or(0),
        bytes: counts.next().unwrap_or(0),
        config: opened.config(),
    })
}

fn open(source: &Source, path: &Path) -> Result<(Opened, Digest), String> {
    match source {
        Source::Image { name, .. } => {
            let image = Image::read(path, name.as_deref())?;
            let digest = image.digest.clone();
            Ok((Opened::Image(image), digest))
        }
        _ => {
            let (file, stat) = settled(path)?;
            let length = file.metadata().map_err(|e| e.to_string())?.len();
            let again = file.try_clone().map_err(|e| e.to_string())?;
            let hashed = Hashed::new(again, 0, length, Default::default());
            let digest = hashed.and_then(Hashed::finish).map_err(|e| e.to_string())?;
            Ok((Opened::Archive { file, stat }, digest))
        }
    }
}

/// Opens an archive whose last change is old enough for the next one to show: the kernel's clock for that
/// ticks every ten milliseconds.
fn settled(path: &Path) -> Result<(File, Stat), String> {
    const TICK: Duration = Duration::from_millis(50);
    let file = crate::host::images::layout::open_regular(path)?;
    let stat =
        |file: &File| rustix::fs::fstat(file).map_err(|e| std::io::Error::from(e).to_string());
    let first = stat(&file)?;
    let changed = Duration::new(
        u64::try_from(first.st_ctime).unwrap_or(0),
        u32::try_from(first.st_ctime_nsec).unwrap_or(0),
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    if now < changed.saturating_add(TICK) {
        std::thread::sleep(TICK);
    }
    let stat = stat(&file)?;
    Ok((file, stat))
}

impl Opened {
    fn config(&self) -> Config {
        match self {
            Self::Archive { .. } => Config::default(),
            Self::Image(image) => image.config.clone(),
        }
    }

    /// Makes the tree, and verifies on the way that everything is what its digest says.
    fn fill(&self, mut tree: Tree<'_>, digest: &Digest) -> Result<(u64, u64), String> {
        match self {
            Self::Archive { file, .. } => {
                let file = file.try_clone().map_err(|e| e.to_string())?;
                let length = file.metadata().map_err(|e| e.to_string())?.len();
                let hashed = Hashed::new(file, 0, length, digest.hasher());
                let stream = hashed.and_then(Stream::new).map_err(unread)?;
                let now = add(&mut tree, stream)?;
                if now != *digest {
                    return Err("it was changed while it was read".into());
                }
            }
            Self::Image(image) => {
                for (number, layer) in image.layers.iter().enumerate() {
                    let name = format!("layer {} of {}", number + 1, image.layers.len());
                    let with = |why: String| format!("{name}: {why}");
                    tree.begin_layer();
                    let hashed = image.open(layer).map_err(with)?;
                    let stream = Stream::new(hashed).map_err(|e| with(unread(e)))?;
                    if layer.is_of_contents && !stream.is_plain() {
                        return Err(with(COMPRESSED.into()));
                    }
                    let found = add(&mut tree, stream).map_err(with)?;
                    if found != layer.digest {
                        return Err(wrong_digest(&name, &found));
                    }
                }
            }
        }
        tree.end()
    }
}

/// Adds the members of one archive; the digest of its bytes, as they are stored.
fn add(tree: &mut Tree<'_>, stream: Stream) -> Result<Digest, String> {
    let mut members = Members::new(stream);
    while let Some(member) = members.advance()? {
        tree.add(member, &mut members)?;
    }
    members.into_inner().finish().map_err(unread)
}
