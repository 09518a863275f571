//! Images: an image layout (OCI image-spec, image-layout.md) as a directory or a tar archive, and what
//! `docker save` writes.
//!
//! Everything in one is named by its digest, and everything that is read is compared with it. The
//! documents are read into the few fields that are needed, after their length was bounded.

use super::archive::{Kind, Members};
use super::digest::{Digest, Hasher};
use super::stream::Hashed;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

/// The most bytes of a document, as registries have it.
pub const DOCUMENT: u64 = 4 << 20;

/// The most members of a layout that is a tar archive.
const MEMBERS: usize = 100_000;

/// How many indexes are read for one image: each may name others.
pub const INDEXES: usize = 64;

/// An image.
#[derive(Debug)]
pub struct Image {
    /// What names it: the digest of its manifest; of what an old `docker save` has written, of its
    /// configuration.
    pub digest: Digest,
    /// What it says about commands in it.
    pub config: Config,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    store: Store,
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name in the layout.
    name: String,
    /// Its length in bytes, if a document says it.
    size: Option<u64>,
    /// What its digest has to be.
    pub digest: Digest,
    /// Whether that is the digest of what it decompresses to.
    pub is_of_contents: bool,
}

/// What an image says about commands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    /// The user, and after a colon the group: names or numbers.
    pub user: Option<String>,
    /// Variables: `NAME=VALUE`.
    pub env: Option<Vec<String>>,
    /// The beginning of the command.
    pub entrypoint: Option<Vec<String>>,
    /// The rest of it.
    pub cmd: Option<Vec<String>>,
    /// The working directory.
    pub working_dir: Option<String>,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    config: Option<Config>,
    rootfs: Rootfs,
}

#[derive(Deserialize)]
struct Rootfs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// A line of the `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Something that a document names by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What its digest has to be.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// What a document of an image names.
#[derive(Debug)]
pub enum Parts {
    /// An index: the manifest of the only image for this platform, or another index.
    Index(Part),
    /// A manifest: the configuration, and the layers.
    Manifest(Part, Vec<Part>),
}

/// A document of which nothing is known yet.
#[derive(Deserialize)]
struct Document {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Parts {
    /// Of a document whose digest was verified.
    ///
    /// # Errors
    /// A sentence: it is neither an index nor a manifest, or has no image for this platform.
    pub fn of(text: &[u8]) -> Result<Self, String> {
        let document: Document = parsed("the manifest", text)?;
        match (document.manifests, document.config, document.layers) {
            (Some(manifests), None, None) => {
                let fitting: Vec<_> = manifests.iter().filter(|one| one.fits()).collect();
                match &fitting[..] {
                    [only] => only.part().map(Self::Index),
                    [] => Err(format!("it holds no image for {}", platform())),
                    several => {
                        let digests = several.iter().map(|one| one.digest.as_str());
                        let digests: Vec<_> = digests.collect();
                        Err(format!(
                            "it holds {} images for {}; name the one that is meant by its own digest: {}",
                            several.len(),
                            platform(),
                            digests.join(", ")
                        ))
                    }
                }
            }
            (None, Some(config), Some(layers)) => {
                let layers = layers.iter().map(Descriptor::part);
                Ok(Self::Manifest(
                    config.part()?,
                    layers.collect::<Result<_, _>>()?,
                ))
            }
            // What is both could be taken for the one here and for the other elsewhere.
            _ => Err("it is neither an index nor a manifest of an image, or it is both".into()),
        }
    }
}

/// The `index.json` of a layout that holds one image.
#[must_use]
pub fn index_of(manifest: &Part) -> String {
    let Part { digest, size } = manifest;
    format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size}}}]}}"#
    )
}

impl Image {
    /// Reads the documents of one image: the one of that name, else the only one for this platform.
    ///
    /// # Errors
    /// A sentence about what is wrong with the layout.
    pub fn read(path: &Path, name: Option<&str>) -> Result<Self, String> {
        let store = Store::open(path)?;
        if store.has("index.json") {
            Self::of_layout(store, name)
        } else if store.has("manifest.json") {
            Self::of_docker(store, name)
        } else {
            Err("it is no image layout: it has no `index.json`, nor the `manifest.json` of `docker save`".into())
        }
    }

    fn of_layout(store: Store, name: Option<&str>) -> Result<Self, String> {
        let index: Index = store.document("index.json", None)?;
        let (mut left, mut found) = (INDEXES, Vec::new());
        store.manifests(index, name, &mut left, &mut found)?;
        let descriptor = match &found[..] {
            [only] => only.clone(),
            [] => {
                let named = name
                    .map(|name| format!(" named `{name}`"))
                    .unwrap_or_default();
                return Err(format!("it holds no image{named} for {}", platform()));
            }
            several => {
                let names: Vec<_> = several.iter().filter_map(Descriptor::name).collect();
                return Err(format!(
                    "it holds {} images for {}, and `image_name` does not say which: {}",
                    several.len(),
                    platform(),
                    names.join(", ")
                ));
            }
        };
        let digest = descriptor.digest()?;
        let manifest: Manifest = store.blob(&descriptor)?;
        if !is_configuration(&manifest.config.media_type) {
            let kind = &manifest.config.media_type;
            return Err(format!(
                "it holds no image, but an artifact of another kind: `{kind}`"
            ));
        }
        let configuration: Configuration = store.blob(&manifest.config)?;
        configuration.fits()?;
        let layers = manifest.layers.iter().map(|layer| {
            let digest = layer.digest()?;
            Ok(Layer {
                name: blob(&digest),
                size: Some(layer.size),
                digest,
                is_of_contents: false,
            })
        });
        Ok(Self {
            digest,
            config: configuration.config.unwrap_or_default(),
            layers: layers.collect::<Result<_, String>>()?,
            store,
        })
    }

    /// What older versions of `docker save`, and `podman save`, have written: files named as they like, and
    /// the digests of the layers in the configuration.
    fn of_docker(store: Store, name: Option<&str>) -> Result<Self, String> {
        let saved: Vec<Saved> = store.document("manifest.json", None)?;
        let fits = |saved: &&Saved| {
            name.is_none_or(|name| saved.repo_tags.iter().flatten().any(|tag| tag == name))
        };
        let mut fitting = saved.iter().filter(fits);
        let (Some(image), None) = (fitting.next(), fitting.next()) else {
            let names = saved.iter().flat_map(|s| s.repo_tags.iter().flatten());
            let names: Vec<_> = names.map(String::as_str).collect();
            return Err(format!(
                "it does not hold exactly one image that `image_name` could mean; there are: {}",
                names.join(", ")
            ));
        };
        let text = store.text(&image.config, None)?;
        let digest = Digest::of(&text);
        let configuration: Configuration = parsed(&image.config, &text)?;
        configuration.fits()?;
        let ids = &configuration.rootfs.diff_ids;
        if ids.len() != image.layers.len() {
            return Err(format!(
                "it has {} layers, and its configuration the digests of {}",
                image.layers.len(),
                ids.len()
            ));
        }
        let layers = image.layers.iter().zip(ids).map(|(name, id)| {
            Ok(Layer {
                name: name.clone(),
                size: None,
                digest: Digest::parse(id).ok_or_else(|| no_digest(id))?,
                is_of_contents: true,
            })
        });
        Ok(Self {
            digest,
            config: configuration.config.unwrap_or_default(),
            layers: layers.collect::<Result<_, String>>()?,
            store,
        })
    }

    /// Opens a layer; its bytes are hashed as they are read.
    ///
    /// # Errors
    /// It is not there, or not as long as it is said to be.
    pub fn open(&self, layer: &Layer) -> Result<Hashed, String> {
        let (file, offset, length) = self.store.find(&layer.name)?;
        sized(&layer.name, length, layer.size)?;
        Hashed::new(file, offset, length, layer.digest.hasher())
            .map_err(|e| format!("{}: {e}", layer.name))
    }
}

/// The name of the platform that this program was built for.
pub(super) fn platform() -> String {
    format!("linux/{}", architecture())
}

/// As Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn no_digest(text: &str) -> String {
    format!("`{text}` is no digest that could be verified")
}

fn is_configuration(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json"
    )
}

fn is_index(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json"
    )
}

/// The name of a part in a layout.
#[must_use]
pub fn blob(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn sized(name: &str, length: u64, said: Option<u64>) -> Result<(), String> {
    match said {
        Some(said) if length < said => Err(format!(
            "{name} is truncated: {length} bytes of {said} are there"
        )),
        Some(said) if length != said => Err(format!(
            "{name} has {length} bytes, and not {said} as it is said to have"
        )),
        _ => Ok(()),
    }
}

fn parsed<T: DeserializeOwned>(name: &str, text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|e| format!("{name} is not what it should be: {e}"))
}

impl Configuration {
    fn fits(&self) -> Result<(), String> {
        let fits = |said: &str, here: &str| said.is_empty() || said == here;
        if fits(&self.os, "linux") && fits(&self.architecture, architecture()) {
            return Ok(());
        }
        Err(format!(
            "the image is for {}/{}, and this machine is {}",
            self.os,
            self.architecture,
            platform()
        ))
    }
}

impl Descriptor {
    fn digest(&self) -> Result<Digest, String> {
        Digest::parse(&self.digest).ok_or_else(|| no_digest(&self.digest))
    }

    fn part(&self) -> Result<Part, String> {
        Ok(Part {
            digest: self.digest()?,
            size: self.size,
        })
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        Some(self.annotations.as_ref()?.get(key)?.as_str())
    }

    fn name(&self) -> Option<&str> {
        self.annotation("org.opencontainers.image.ref.name")
            .or_else(|| self.annotation("io.containerd.image.name"))
    }

    fn is_named(&self, name: &str) -> bool {
        [
            "org.opencontainers.image.ref.name",
            "io.containerd.image.name",
        ]
        .iter()
        .any(|key| self.annotation(key) == Some(name))
    }

    /// Whether it may be meant here: what says no platform is asked for it later.
    fn fits(&self) -> bool {
        self.platform
            .as_ref()
            .is_none_or(|p| p.os == "linux" && p.architecture == architecture())
    }
}

/// Where the parts of a layout are.
#[derive(Debug)]
enum Store {
    /// Files below a directory.
    Directory(PathBuf),
    /// Members of a tar archive: where each begins, and its length; and links to others.
    Tar {
        path: PathBuf,
        members: BTreeMap<String, (u64, u64)>,
        links: BTreeMap<String, String>,
    },
}

impl Store {
    fn open(path: &Path) -> Result<Self, String> {
        if path.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        let file = regular(openat(CWD, path, FOR_READING, Mode::empty()))?;
        let mut head = [0u8; 6];
        let got = (&file).read(&mut head).map_err(|e| e.to_string())?;
        let is_compressed = matches!(
            head.get(..got),
            Some([0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0xfd, b'7', b'z', b'X', ..])
        );
        if is_compressed {
            return Err("it is compressed as a whole, so that nothing in it can be found: decompress it once (gunzip, unzstd, unxz)".into());
        }
        let file = regular(openat(CWD, path, FOR_READING, Mode::empty()))?;
        let mut archive = Members::new(BufReader::new(file));
        let (mut members, mut links) = (BTreeMap::new(), BTreeMap::new());
        while let Some(member) = archive.advance()? {
            if members.len() + links.len() >= MEMBERS {
                return Err(format!(
                    "it has more than {MEMBERS} members, as no image layout has"
                ));
            }
            // A name that is not UTF-8 is none of a layout's.
            let Some(name) = std::str::from_utf8(&member.path).ok().map(plain) else {
                continue;
            };
            match member.kind {
                Kind::File => {
                    members.insert(name, (archive.place(), member.size));
                }
                Kind::Symlink | Kind::HardLink => {
                    let to = String::from_utf8_lossy(&member.link).into_owned();
                    let folder = match member.kind {
                        Kind::Symlink => name.rsplit_once('/').map_or("", |(folder, _)| folder),
                        _ => "",
                    };
                    links.insert(name.clone(), plain(&format!("{folder}/{to}")));
                }
                _ => {}
            }
        }
        Ok(Self::Tar {
            path: path.to_owned(),
            members,
            links,
        })
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(path) => path.join(name).is_file(),
            Self::Tar { members, .. } => members.contains_key(name),
        }
    }

    /// A part: the file that it is in, where it begins, its length.
    fn find(&self, name: &str) -> Result<(File, u64, u64), String> {
        let with = |why: String| format!("{name}: {why}");
        match self {
            Self::Directory(path) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let folder = openat(CWD, path, flags, Mode::empty()).map_err(|e| with(said(e)))?;
                // Links of the layout are followed within it.
                let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                let file = openat2(&folder, name, FOR_READING, Mode::empty(), inside);
                let file = regular(file).map_err(with)?;
                let length = file.metadata().map_err(|e| with(e.to_string()))?.len();
                Ok((file, 0, length))
            }
            Self::Tar {
                path,
                members,
                links,
            } => {
                let name = plain(name);
                let target = links.get(&name).unwrap_or(&name);
                let Some((offset, length)) = members.get(target) else {
                    return Err(with("it is not there".into()));
                };
                let file = regular(openat(CWD, path, FOR_READING, Mode::empty())).map_err(with)?;
                Ok((file, *offset, *length))
            }
        }
    }

    /// The text of a document; verified, if there is something to compare it with.
    fn text(&self, name: &str, expected: Option<(&Digest, u64)>) -> Result<Vec<u8>, String> {
        let (file, offset, length) = self.find(name)?;
        sized(name, length, expected.map(|(_, size)| size))?;
        if length > DOCUMENT {
            return Err(format!(
                "{name} is larger than a document may be: {DOCUMENT} bytes"
            ));
        }
        let hasher = expected.map_or_else(Hasher::default, |(digest, _)| digest.hasher());
        let fail = |e: std::io::Error| format!("{name}: {e}");
        let mut hashed = Hashed::new(file, offset, length, hasher).map_err(fail)?;
        let mut text = Vec::new();
        hashed.read_to_end(&mut text).map_err(fail)?;
        let digest = hashed.finish().map_err(fail)?;
        match expected {
            Some((expected, _)) if *expected != digest => Err(wrong_digest(name, &digest)),
            _ => Ok(text),
        }
    }

    fn document<T: DeserializeOwned>(
        &self,
        name: &str,
        expected: Option<(&Digest, u64)>,
    ) -> Result<T, String> {
        parsed(name, &self.text(name, expected)?)
    }

    fn blob<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T, String> {
        let digest = descriptor.digest()?;
        self.document(&blob(&digest), Some((&digest, descriptor.size)))
    }

    /// The manifests that may be meant: those of a name, in whichever index it stands; for this platform.
    fn manifests(
        &self,
        index: Index,
        name: Option<&str>,
        left: &mut usize,
        found: &mut Vec<Descriptor>,
    ) -> Result<(), String> {
        *left = left
            .checked_sub(1)
            .ok_or_else(|| format!("it has more than {INDEXES} indexes that name each other"))?;
        let fitting = index.manifests.iter().filter(|manifest| manifest.fits());
        for manifest in fitting {
            let is_named = name.is_none_or(|name| manifest.is_named(name));
            if is_index(&manifest.media_type) {
                let name = name.filter(|_| !is_named);
                self.manifests(self.blob(manifest)?, name, left, found)?;
            } else if is_named {
                found.push(manifest.clone());
            }
        }
        Ok(())
    }
}

/// The sentence about contents that are not those that their name promises.
#[must_use]
pub fn wrong_digest(name: &str, digest: &Digest) -> String {
    format!("{name} does not hold what its digest says: it has {digest}")
}

/// How a stranger's file is opened: a FIFO does not keep the reader waiting.
const FOR_READING: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// A regular file that was opened.
pub(super) fn regular(opened: rustix::io::Result<std::os::fd::OwnedFd>) -> Result<File, String> {
    let file = opened.map_err(said)?;
    let stat = rustix::fs::fstat(&file).map_err(said)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("it is no regular file".into());
    }
    Ok(file.into())
}

/// Opens a regular file of the host for reading.
pub fn open_regular(path: &Path) -> Result<File, String> {
    regular(openat(CWD, path, FOR_READING, Mode::empty()))
}

/// The words of an error of the kernel's.
pub(super) fn said(errno: rustix::io::Errno) -> String {
    match errno {
        rustix::io::Errno::NOENT => "it is not there".into(),
        other => nix::errno::Errno::from_raw(other.raw_os_error())
            .desc()
            .to_owned(),
    }
}

/// A name in an archive without `.`, `..` and empty parts.
fn plain(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
