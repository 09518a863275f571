//! Roots that come as archives and as images (OCI Image Format Specification): what they are, and where
//! they are kept once they are unpacked.
//!
//! All of this only reads. A root is planned from its unpacked tree; where there is none yet, the plan
//! is to unpack it ([`Op::Unpack`](crate::plan::Op)), and the run is planned after that.

pub mod archive;
pub mod cache;
pub mod digest;
pub mod layout;
pub mod reference;
pub mod stream;

pub use cache::{Cache, Entry};
pub use digest::Digest;
pub use reference::Reference;

use super::Host;
use super::caller::{self, IdRange};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a root is unpacked from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A tar archive, compressed or not.
    Archive(PathBuf),
    /// An image layout, as a directory or a tar archive, or what `docker save` writes.
    Image {
        /// Its path.
        path: PathBuf,
        /// Which of several images.
        name: Option<String>,
    },
    /// An image in a registry.
    Registry {
        /// Which; by its digest.
        reference: Reference,
        /// Files that may have the caller's credentials for it; the first that does counts.
        credentials: Vec<PathBuf>,
    },
}

impl Source {
    /// Its path, if it is on this machine.
    #[must_use]
    pub const fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Archive(path) | Self::Image { path, .. } => Some(path),
            Self::Registry { .. } => None,
        }
    }

    /// The path of the archive or image, or the name at its registry.
    #[must_use]
    pub fn name(&self) -> &Path {
        match self {
            Self::Archive(path) | Self::Image { path, .. } => path,
            Self::Registry { reference, .. } => Path::new(reference.name()),
        }
    }

    /// What it is, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Archive(_) => "archive",
            Self::Image { .. } | Self::Registry { .. } => "image",
        }
    }
}

/// Where it is.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(path) | Self::Image { path, .. } => path.display().fmt(f),
            Self::Registry { reference, .. } => reference.fmt(f),
        }
    }
}

/// How much is unpacked at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Members, of all layers together.
    pub entries: u64,
    /// Bytes in files, of all layers together.
    pub bytes: u64,
}

/// Whom the unpacked files belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owners {
    /// As the archive says.
    Kept,
    /// The caller, since a plain user can give nothing away.
    Caller,
    /// As the archive says, in a user namespace with these maps.
    Mapped {
        /// The map of user ids.
        users: Vec<IdRange>,
        /// The map of group ids.
        groups: Vec<IdRange>,
        /// newuidmap(1).
        newuidmap: PathBuf,
        /// newgidmap(1).
        newgidmap: PathBuf,
    },
}

impl Owners {
    /// Whom files may belong to that this caller has unpacked: itself, or its subordinate ids.
    #[must_use]
    pub fn of_caller(host: &Host) -> Self {
        let held = host.subordinate();
        let (caller, lacks) = (
            &host.caller,
            held.users.is_empty() || held.groups.is_empty(),
        );
        match (&held.newuidmap, &held.newgidmap) {
            (Some(newuidmap), Some(newgidmap)) if !caller.has_rights() && !lacks => Self::Mapped {
                users: caller::auto(caller.uid, &held.users),
                groups: caller::auto(caller.gid, &held.groups),
                newuidmap: newuidmap.clone(),
                newgidmap: newgidmap.clone(),
            },
            _ => Self::Caller,
        }
    }

    /// A word that tells trees of one content apart whose files belong to others.
    #[must_use]
    pub fn word(&self) -> String {
        let Self::Mapped { users, groups, .. } = self else {
            return if *self == Self::Kept {
                "kept"
            } else {
                "caller"
            }
            .into();
        };
        let lines = |ranges: &[IdRange]| {
            let line = |r: &IdRange| format!("{} {} {}\n", r.inside, r.outside, r.count);
            ranges.iter().map(line).collect::<String>()
        };
        let maps = format!("{}\n{}", lines(users), lines(groups));
        let digest = Digest::of(maps.as_bytes());
        let short = digest.hex().get(..16).unwrap_or_default().to_owned();
        format!("map-{short}")
    }
}

/// All that is needed to unpack a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacking {
    /// From what.
    pub source: Source,
    /// What its digest has to be: of an archive, if the profile says it; of an image, what was read; of one in a
    /// registry, what its reference says, which may be that of an index.
    pub digest: Option<Digest>,
    /// How much at most.
    pub bounds: Bounds,
    /// Whom the files belong to.
    pub owners: Owners,
    /// Where to.
    pub cache: Cache,
}

/// What is known of a root without unpacking it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its digest: of an image always, of an archive if this very file was unpacked before.
    pub digest: Option<Digest>,
    /// What an image says about commands in it.
    pub config: layout::Config,
}

impl Host {
    /// The unpacked root of a content; a machine of given facts has none.
    ///
    /// # Errors
    /// As for [`Cache::entry`].
    pub fn unpacked_root(
        &self,
        digest: &Digest,
        owners: &Owners,
        cache: &Cache,
    ) -> Result<Option<Entry>, String> {
        match self.is_fixed {
            true => Ok(None),
            false => cache.entry(digest, owners),
        }
    }

    /// What is known of the source of a root; nothing is unpacked, and of an image only its
    /// documents are read. Of one in a registry, nothing is: nobody is asked.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    pub fn known_root(&self, source: &Source, cache: &Cache) -> Result<Known, String> {
        if self.is_fixed {
            return Ok(Known::default());
        }
        match source {
            Source::Registry { .. } => Ok(Known::default()),
            Source::Archive(path) => Ok(Known {
                digest: cache.remembered(path)?,
                config: layout::Config::default(),
            }),
            Source::Image { path, name } => {
                let image = layout::Image::read(path, name.as_deref())?;
                Ok(Known {
                    digest: Some(image.digest),
                    config: image.config,
                })
            }
        }
    }
}
