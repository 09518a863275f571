//! Unpacking archives and images into the cache: the preparation of a run whose root is not there yet.
//!
//! Made aside, and moved when it is whole and on the disk, so that a kill at any moment leaves nothing that
//! would be taken for a root. What it leaves is taken away by the next one who unpacks the same, and by
//! `sandbox images prune`.

mod namespace;
mod place;
mod prune;
mod tree;

pub use prune::{Pruned, prune};

use super::Failure;
use crate::host::images::archive::{Members, unread};
use crate::host::images::cache::{Cache, Description, VERSION};
use crate::host::images::layout::{Config, Image, wrong_digest};
use crate::host::images::stream::{Hashed, Stream};
use crate::host::images::{Digest, Source, Unpacking};
use crate::plan::{Op, Plan};
use place::Place;
use rustix::fs::Stat;
use std::fs::File;
use std::path::Path;
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
    let path = unpacking.source.path();
    let (opened, digest) = open(&unpacking.source)?;
    if let Some(expected) = unpacking
        .digest
        .as_ref()
        .filter(|expected| **expected != digest)
    {
        return Err(format!("it has the digest {digest}, and not {expected}"));
    }
    let name = Cache::name(&digest, &unpacking.owners);
    if let Some(place) = Place::begin(&unpacking.cache, &name)? {
        let counts = namespace::within(&unpacking.owners, || {
            let root = place.root()?;
            let tree = Tree::new(root, unpacking.bounds, &unpacking.owners);
            let filled = opened.fill(tree, &digest);
            // Half a root is of no use, and may be large.
            let (entries, bytes) = filled.inspect_err(|_| drop(place.clear()))?;
            Ok(format!("{entries} {bytes}"))
        });
        let counts = counts.inspect_err(|_| place.give_up())?;
        let mut counts = counts.split(' ').map(|count| count.parse().unwrap_or(0));
        place.finish(&Description {
            version: VERSION,
            digest: digest.to_string(),
            source: path.display().to_string(),
            entries: counts.next().unwrap_or(0),
            bytes: counts.next().unwrap_or(0),
            config: opened.config(),
        })?;
    }
    match &opened {
        Opened::Archive { stat, .. } => place::remember(&unpacking.cache, stat, &digest),
        Opened::Image(_) => Ok(()),
    }
}

fn open(source: &Source) -> Result<(Opened, Digest), String> {
    match source {
        Source::Image { path, name } => {
            let image = Image::read(path, name.as_deref())?;
            let digest = image.digest.clone();
            Ok((Opened::Image(image), digest))
        }
        Source::Archive(path) => {
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
