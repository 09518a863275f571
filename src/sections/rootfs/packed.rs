//! `archive` and `image`: roots that are unpacked before they are used.

use super::{RawRootfs, Rootfs, Source};
use crate::changes::store;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::Host;
use crate::host::accounts::Accounts;
use crate::host::images::cache::{Cache, Entry};
use crate::host::images::layout::Config;
use crate::host::images::{self, Bounds, Digest, Owners, Reference, Unpacking};
use crate::plan::draft::{Command, c_string};
use crate::plan::{Draft, Op, Phase};
use crate::profile::value::Size;
use crate::profile::variables::Variables;
use crate::review::{Area, Extent, Grant};
use crate::sections::changes::Aside;
use crate::sections::namespaces::Namespaces;
use crate::sections::{Profile, host_path};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The most members of a root, unless the profile says otherwise: three times those of a large desktop.
const ENTRIES: u64 = 1_000_000;

/// The most bytes in its files.
const BYTES: u64 = 32 << 30;

/// A root that has to be unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// From what.
    pub source: images::Source,
    digest: Option<At<Digest>>,
    bounds: Bounds,
    /// The line by which the image says who the command is, where the profile does not.
    config: Option<Origin>,
}

/// What this machine knows of it.
struct Look {
    /// The unpacked tree, if there is one.
    entry: Option<Entry>,
    /// Its digest, if it is known before it is unpacked.
    digest: Option<Digest>,
    config: Config,
    cache: Cache,
    owners: Owners,
}

/// Reads the keys; the source, if there is one.
pub(super) fn check(
    raw: &RawRootfs,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Vec<At<Source>> {
    let digest = raw.digest.as_ref().and_then(|text| {
        let digest = Digest::parse(&text.value);
        if digest.is_none() {
            problems.push(
                Diagnostic::new(
                    Code::WrongValue,
                    &text.origin,
                    format!("`{}` is no digest that could be verified", text.value),
                )
                .help("for example: digest = \"sha256:…\", with 64 hexadecimal digits; or sha512 with 128"),
            );
        }
        Some(At::new(digest?, text.origin.clone()))
    });
    for (key, there, needs, fits) in [
        (
            "image_name",
            place(&raw.image_name),
            "image",
            raw.image.is_some(),
        ),
        (
            "image_config",
            place(&raw.image_config),
            "image",
            raw.image.is_some(),
        ),
        ("digest", place(&raw.digest), "archive", packs(raw)),
        (
            "max_entries",
            place(&raw.max_entries),
            "archive",
            packs(raw),
        ),
        ("max_size", place(&raw.max_size), "archive", packs(raw)),
    ] {
        if let Some(origin) = there.filter(|_| !fits) {
            let (what, other) = match needs {
                "image" => ("an image", "`image`"),
                _ => ("a root that is unpacked", "`archive` or `image`"),
            };
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    origin,
                    format!("`{key}` is about {what}, and there is none"),
                )
                .help(format!("write {other} too, or remove the line")),
            );
        }
    }
    let bounds = Bounds {
        entries: raw.max_entries.as_ref().map_or(ENTRIES, |at| at.value),
        bytes: raw.max_size.as_ref().map_or(BYTES, |at| at.value.0),
    };
    let packed = |source, digest, config| {
        Source::Packed(Box::new(Packed {
            source,
            digest,
            bounds,
            config,
        }))
    };
    let mut sources = Vec::new();
    if let Some(archive) = &raw.archive
        && let Some(path) = host_path(archive, variables, problems)
    {
        let source = packed(images::Source::Archive(path), digest.clone(), None);
        sources.push(At::new(source, archive.origin.clone()));
    }
    if let Some(image) = &raw.image {
        let found = match image.value.strip_prefix(REGISTRY) {
            Some(text) => in_registry(text, image, raw, digest, variables, problems),
            None => host_path(image, variables, problems).map(|path| {
                let name = raw.image_name.as_ref().map(|name| name.value.clone());
                (images::Source::Image { path, name }, digest)
            }),
        };
        if let Some((source, digest)) = found {
            let config = raw.image_config.as_ref().filter(|config| config.value);
            let config = config.map(|config| config.origin.clone());
            let source = packed(source, digest, config);
            sources.push(At::new(source, image.origin.clone()));
        }
    }
    sources
}

/// How an image begins that is in a registry.
pub const REGISTRY: &str = "registry:";

/// An image in a registry, and its digest: without one, what runs would be whatever is there on that day.
fn in_registry(
    text: &str,
    image: &At<String>,
    raw: &RawRootfs,
    digest: Option<At<Digest>>,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Option<(images::Source, Option<At<Digest>>)> {
    const SAMPLE: &str = "registry:docker.io/library/debian:12@sha256:…";
    let reference = match Reference::parse(text) {
        Ok(reference) => reference,
        Err(why) => {
            let message = format!("`{}` is no reference to an image: {why}", image.value);
            problems.push(
                Diagnostic::new(Code::WrongValue, &image.origin, message)
                    .help(format!("for example: image = \"{SAMPLE}\"")),
            );
            return None;
        }
    };
    if let Some(name) = &raw.image_name {
        let message =
            "`image_name` is about a layout that holds several, and a registry is asked for one";
        problems.push(
            Diagnostic::new(Code::Conflict, &name.origin, message)
                .and(&image.origin, "the registry")
                .help("remove the line: the reference says which"),
        );
    }
    let own = reference.digest();
    let own = own.map(|own| At::new(own.clone(), image.origin.clone()));
    match (&own, &digest) {
        (Some(own), Some(other)) if own.value != other.value => {
            problems.push(
                Diagnostic::new(Code::Conflict, &other.origin, "another digest of the image")
                    .and(&own.origin, "the first one")
                    .help("keep one of them"),
            );
        }
        (None, None) if raw.digest.is_none() => {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &image.origin,
                    "an image in a registry has to be named by its digest: a tag may be another image tomorrow",
                )
                .help(format!(
                    "`sandbox images pin {reference}` asks the registry, and prints the line to write"
                )),
            );
        }
        _ => {}
    }
    let digest = own.or(digest)?;
    let source = images::Source::Registry {
        reference: reference.pinned(digest.value.clone()),
        credentials: credentials(variables),
    };
    Some((source, Some(digest)))
}

/// Where the caller's credentials for registries may be: those of podman come first (containers-auth.json(5)).
#[must_use]
pub fn credentials(variables: &Variables) -> Vec<PathBuf> {
    let folder = |name: &str| {
        let path = variables.environment.get(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let home = |below: &str| variables.home.as_ref().map(|home| home.join(below));
    let named = folder("REGISTRY_AUTH_FILE");
    let runtime = folder("XDG_RUNTIME_DIR").map(|path| path.join("containers/auth.json"));
    let config = folder("XDG_CONFIG_HOME").or_else(|| home(".config"));
    let config = config.map(|path| path.join("containers/auth.json"));
    let docker = folder("DOCKER_CONFIG").or_else(|| home(".docker"));
    let docker = docker.map(|path| path.join("config.json"));
    [named, runtime, config, docker]
        .into_iter()
        .flatten()
        .collect()
}

fn place<T>(value: &Option<At<T>>) -> Option<&Origin> {
    value.as_ref().map(|value| &value.origin)
}

const fn packs(raw: &RawRootfs) -> bool {
    raw.archive.is_some() || raw.image.is_some()
}

impl Packed {
    /// What is permitted besides that its contents are seen.
    pub(super) fn grants(&self, origin: &Origin) -> Vec<Grant> {
        let Self {
            source,
            digest,
            bounds,
            config,
        } = self;
        let path = source;
        let name = match source {
            images::Source::Image {
                name: Some(name), ..
            } => name,
            _ => "",
        };
        let (extent, words, place) = match digest {
            Some(digest) => (
                BTreeMap::from([(digest.value.to_string(), 0)]),
                format!("have the root {path} whose digest is {}", digest.value),
                &digest.origin,
            ),
            None => (
                BTreeMap::new(),
                format!("have any root that is put at {path}"),
                origin,
            ),
        };
        let content = format!("root:{path}:{name}");
        let mut grants = vec![
            Grant::new(
                Area::Filesystem,
                content,
                Extent::Bounds(extent),
                words,
                place,
            )
            .share(10),
            Grant::rank(
                Area::Limits,
                "root:entries",
                bounds.entries,
                format!("fill the cache with {} files", bounds.entries),
                origin,
            )
            .share(10),
            Grant::rank(
                Area::Limits,
                "root:size",
                bounds.bytes,
                format!("fill the cache with {}", Size(bounds.bytes)),
                origin,
            )
            .share(10),
        ];
        if let images::Source::Registry { reference, .. } = source {
            let host = reference.host();
            let words = format!(
                "have the registry {host} asked for the root, with the caller's credentials there"
            );
            let key = format!("root:registry:{host}");
            grants.push(Grant::rank(Area::Network, key, 1, words, origin).share(10));
        }
        if let Some(config) = config {
            let words =
                "let the image say who the command is, which variables it has and where it starts";
            grants.push(Grant::rank(Area::Identity, "root:config", 1, words, config).share(100));
        }
        grants
    }

    /// Looks at the cache, and as far as that does not say everything, at the source. Nothing is changed.
    fn look(
        &self,
        profile: &Profile,
        namespaces: &Namespaces,
        host: &Host,
        origin: &Origin,
    ) -> Result<Look, Diagnostic> {
        let variables = &profile.variables;
        let caches = variables.environment.get("XDG_CACHE_HOME");
        let home = variables.home.as_deref();
        let cache = Cache::of(host.caller.uid, caches.map(String::as_str), home);
        let Some(cache) = cache else {
            return Err(Diagnostic::new(
                Code::NotHere,
                origin,
                "without a home there is no folder in which a root could be unpacked",
            )
            .help("set HOME, or XDG_CACHE_HOME"));
        };
        let unsafe_cache = |why| {
            Diagnostic::new(
                Code::NotHere,
                origin,
                format!("the cache cannot be used: {why}"),
            )
            .help("see `sandbox images`")
        };
        let owners = owners(profile, namespaces, host);
        if let Some(pinned) = &self.digest {
            // What was verified once need not be there any more.
            let entry = host.unpacked_root(&pinned.value, &owners, &cache);
            if let Some(entry) = entry.map_err(unsafe_cache)? {
                let config = match self.config {
                    Some(_) => entry.description().map_err(unsafe_cache)?.config,
                    None => Config::default(),
                };
                return Ok(Look {
                    digest: Some(pinned.value.clone()),
                    entry: Some(entry),
                    config,
                    cache,
                    owners,
                });
            }
        }
        let known = host.known_root(&self.source, &cache).map_err(|why| {
            let what = self.source.word();
            Diagnostic::new(
                Code::NotFound,
                origin,
                format!("the {what} {} cannot be used: {why}", self.source),
            )
            .help("make it, or correct the path")
        })?;
        if let (Some(pinned), Some(found)) = (&self.digest, &known.digest)
            && pinned.value != *found
        {
            let text = format!("{} has the digest {found}, and not this one", self.source);
            return Err(Diagnostic::new(Code::NotFound, &pinned.origin, text).help(
                "find out who has changed it; if that is as it should be, write the new digest",
            ));
        }
        let entry = match &known.digest {
            Some(digest) => host
                .unpacked_root(digest, &owners, &cache)
                .map_err(unsafe_cache)?,
            None => None,
        };
        Ok(Look {
            digest: known
                .digest
                .or_else(|| self.digest.as_ref().map(|at| at.value.clone())),
            entry,
            config: known.config,
            cache,
            owners,
        })
    }
}

/// Whom unpacked files belong to: as the archive says, where the caller may give them away, itself or by
/// subordinate ids; else the caller.
fn owners(profile: &Profile, namespaces: &Namespaces, host: &Host) -> Owners {
    if host.caller.has_rights() {
        return Owners::Kept;
    }
    let held = host.subordinate();
    match (
        profile.user.subordinate_maps(host),
        &held.newuidmap,
        &held.newgidmap,
    ) {
        (Some((users, groups)), Some(newuidmap), Some(newgidmap))
            if namespaces.user.value.is_new() =>
        {
            Owners::Mapped {
                users,
                groups,
                newuidmap: newuidmap.clone(),
                newgidmap: newgidmap.clone(),
            }
        }
        _ => Owners::Caller,
    }
}

/// The name of changes to a root that was unpacked: those to another content have another one.
fn changes_name(source: &Path, digest: &Digest) -> String {
    let digest: String = digest.hex().chars().take(12).collect();
    let name: String = store::name_of(source).chars().take(50).collect();
    format!("{name}-{digest}")
}

impl Rootfs {
    fn packed(&self) -> Option<&Packed> {
        match &self.source.value {
            Source::Packed(packed) => Some(packed),
            _ => None,
        }
    }

    /// Whether the image may say what the command is, once it was fetched.
    #[must_use]
    pub fn tells_once_fetched(&self) -> bool {
        let registry = |packed: &&Packed| matches!(packed.source, images::Source::Registry { .. });
        let packed = self.packed().filter(registry);
        packed.is_some_and(|packed| packed.config.is_some())
    }

    /// Whether the root has to be unpacked.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        self.packed().is_some()
    }

    /// The profile as it is once the root is unpacked: a directory is the root, and what the image says
    /// holds where the profile is silent. Where it is not unpacked yet, that is planned, and the root is empty
    /// meanwhile. None where nothing has to be unpacked.
    pub fn on_this_machine(
        &self,
        profile: &Profile,
        namespaces: &Namespaces,
        draft: &mut Draft<'_>,
    ) -> Option<Profile> {
        let packed = self.packed().filter(|_| namespaces.builds_root())?;
        let origin = &self.source.origin;
        let mut unpacked = profile.clone();
        unpacked.rootfs.source.value = Source::Empty;
        let look = match packed.look(profile, namespaces, draft.host, origin) {
            Ok(look) => look,
            Err(problem) => {
                draft.problem(problem);
                return Some(unpacked);
            }
        };
        if let Some(line) = &packed.config {
            // Names count for something only where they can be looked up.
            let accounts = look.entry.as_ref();
            let accounts = accounts.map(|e| Accounts::of(&e.root(), &draft.host.tree.doubt));
            unpacked.heed(&look.config, accounts.as_ref(), line);
        }
        match look.entry {
            Some(entry) => {
                let root = entry.root();
                draft.step(Phase::Roots, Op::HoldRoot(entry), origin);
                let kept = &mut unpacked.rootfs;
                if let (Some(Aside::Kept(name @ None)), Some(digest)) =
                    (&mut kept.aside, &look.digest)
                {
                    let own = changes_name(packed.source.name(), digest);
                    *name = Some(At::new(own, kept.changes.origin.clone()));
                }
                kept.unpacked = look.digest.as_ref().map(Digest::to_string);
                unpacked.rootfs.source.value = Source::Directory(root);
            }
            None => {
                let unpacking = Unpacking {
                    source: packed.source.clone(),
                    digest: look.digest,
                    bounds: packed.bounds,
                    owners: look.owners,
                    cache: look.cache,
                };
                draft.step(Phase::Roots, Op::Unpack(Box::new(unpacking)), origin);
                unpacked.user = unpacked.user.without_names();
            }
        }
        Some(unpacked)
    }

    /// The command of the image, where the profile lets it say one and has none itself.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn command(&self, profile: &Profile, host: &Host) -> Result<Option<Command>, Diagnostic> {
        let Some((packed, line)) = self.packed().and_then(|p| Some((p, p.config.as_ref()?))) else {
            return Ok(None);
        };
        let config = packed
            .look(profile, &profile.namespaces, host, &self.source.origin)?
            .config;
        let words = config.entrypoint.into_iter().chain(config.cmd).flatten();
        let words: Vec<_> = words.map(c_string).collect();
        Ok((!words.is_empty()).then(|| Command::new(words, line)))
    }
}

impl Profile {
    /// Takes what an image says of commands in it, where this profile says nothing.
    fn heed(&mut self, config: &Config, accounts: Option<&Accounts>, line: &Origin) {
        for variable in config.env.iter().flatten() {
            if let Some((name, value)) = variable.split_once('=') {
                self.environment
                    .propose(name, value, &self.variables.environment, line);
            }
        }
        if let Some(directory) = &config.working_dir {
            self.process.propose_cwd(directory, line);
        }
        if let Some(user) = config.user.as_deref().filter(|user| !user.is_empty()) {
            self.user.propose(user, accounts, line);
        }
    }
}
