//! Images in registries: fetched into an image layout, from which they are unpacked as any other (OCI
//! distribution-spec).
//!
//! Everything is a stranger's until its digest was verified: a document is parsed, and a layer decompressed, only
//! after that. Lengths are those that a verified document says, and bounded before anything is asked for.

mod credentials;
mod http;

use crate::host::images::layout::{DOCUMENT, INDEXES, Image, Part, Parts, blob, index_of};
use crate::host::images::{Bounds, Digest, Reference};
use credentials::Credentials;
use http::{Answer, Client};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What is understood of what a name may stand for.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// The most bytes of an answer that hands out a token.
const TOKEN: u64 = 256 << 10;

/// Fetches an image into a folder, which is empty.
///
/// # Errors
/// A sentence.
pub(super) fn fetch(
    reference: &Reference,
    wanted: &Digest,
    bounds: Bounds,
    credentials: &[PathBuf],
    folder: &Path,
) -> Result<Image, String> {
    Registry::new(reference, credentials)?.fetch(wanted, bounds, folder)?;
    Image::read(folder, None)
}

/// Asks a registry which digest a tag has now.
///
/// # Errors
/// A sentence.
pub fn resolve(reference: &Reference, credentials: &[PathBuf]) -> Result<Digest, String> {
    let with = |why: String| format!("{reference}: {why}");
    let mut registry = Registry::new(reference, credentials).map_err(with)?;
    let tag = reference.tag().unwrap_or_default();
    let text = registry.document(tag).map_err(with)?;
    Parts::of(&text).map_err(with)?;
    Ok(Digest::of(&text))
}

/// A registry that is asked for one image.
struct Registry<'r> {
    client: Client,
    reference: &'r Reference,
    credentials: Option<Credentials>,
    /// What it wants to see with each question, once it has said so.
    authorization: Option<String>,
}

impl<'r> Registry<'r> {
    fn new(reference: &'r Reference, files: &[PathBuf]) -> Result<Self, String> {
        Ok(Self {
            client: Client::new(reference.is_loopback()),
            reference,
            credentials: Credentials::of(reference, files)?,
            authorization: None,
        })
    }

    fn fetch(&mut self, wanted: &Digest, bounds: Bounds, folder: &Path) -> Result<(), String> {
        let mut digest = wanted.clone();
        for _ in 0..INDEXES {
            let text = self.document(&digest.to_string())?;
            let mut hasher = digest.hasher();
            hasher.update(&text);
            verified("the manifest", &digest, &hasher.finish())?;
            match Parts::of(&text)? {
                Parts::Index(part) => digest = part.digest,
                Parts::Manifest(config, layers) => {
                    let manifest = Part {
                        size: text.len() as u64,
                        digest,
                    };
                    keep(&mut &text[..], &manifest, folder)?;
                    self.parts(&config, &layers, bounds, folder)?;
                    let index = folder.join("index.json");
                    return create(&index)
                        .and_then(|mut file| file.write_all(index_of(&manifest).as_bytes()))
                        .map_err(|e| e.to_string());
                }
            }
        }
        Err(format!(
            "it has more than {INDEXES} indexes that name each other"
        ))
    }

    /// The configuration and the layers, after their lengths were looked at.
    fn parts(
        &mut self,
        config: &Part,
        layers: &[Part],
        bounds: Bounds,
        folder: &Path,
    ) -> Result<(), String> {
        if config.size > DOCUMENT {
            return Err(format!(
                "its configuration is larger than a document may be: {DOCUMENT} bytes"
            ));
        }
        let sizes = layers.iter().map(|layer| layer.size);
        let all = sizes.fold(0u64, u64::saturating_add);
        if all > bounds.bytes {
            return Err(format!(
                "its layers have {all} bytes: `max_size` under [rootfs] permits no more than {}",
                bounds.bytes
            ));
        }
        let mut had = BTreeSet::new();
        for part in std::iter::once(config).chain(layers) {
            // An empty layer may be named many times.
            if had.insert(&part.digest) {
                let Part { digest, size } = part;
                let mut answer = self.ask(&format!("blobs/{digest}"), "*/*", *size)?;
                keep(&mut answer.body, part, folder)?;
            }
        }
        Ok(())
    }

    /// An index or a manifest, by tag or digest.
    fn document(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let mut answer = self.ask(&format!("manifests/{name}"), MANIFESTS, DOCUMENT)?;
        bounded(&mut answer.body, DOCUMENT, "the manifest")
    }

    /// Asks for something, and once more where the registry wants to know who asks.
    fn ask(&mut self, what: &str, accept: &str, size: u64) -> Result<Answer, String> {
        let url = format!("{}/{what}", self.reference.endpoint());
        let authorization = self.authorization.clone();
        let mut answer = self
            .client
            .get(&url, accept, authorization.as_deref(), size)?;
        if answer.status == 401 {
            let challenges = std::mem::take(&mut answer.challenges);
            drop(answer);
            let authorization = self.authorize(&challenges)?;
            answer = self.client.get(&url, accept, Some(&authorization), size)?;
            self.authorization = Some(authorization);
        }
        match answer.status {
            200 => Ok(answer),
            401 | 403 => Err(match self.credentials {
                Some(_) => "the registry refuses it to these credentials".into(),
                None => "the registry refuses it to strangers, and there are no credentials for it: `podman login` or `docker login` keeps them".into(),
            }),
            404 => Err("the registry does not have it".into()),
            429 => Err("the registry has been asked too often: wait".into()),
            status => Err(format!("the registry answers {status} to {what}")),
        }
    }

    /// What is to be said of who asks: a token that is handed out elsewhere, or the credentials themselves.
    fn authorize(&self, challenges: &[String]) -> Result<String, String> {
        let basic = self.credentials.as_ref().map(Credentials::basic);
        let is = |challenge: &str, scheme: &str| {
            let (word, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
            word.eq_ignore_ascii_case(scheme).then(|| rest.to_owned())
        };
        if let Some(parameters) = challenges.iter().find_map(|c| is(c, "bearer")) {
            return self.token(&parameters, basic.as_deref());
        }
        match (challenges.iter().find_map(|c| is(c, "basic")), basic) {
            (Some(_), Some(basic)) => Ok(basic),
            (Some(_), None) => Err("the registry asks for credentials, and there are none for it: `podman login` or `docker login` keeps them".into()),
            (None, _) => Err("the registry wants to know who asks, in a way that is not known here".into()),
        }
    }

    /// A token, from whom the registry names for that.
    fn token(&self, parameters: &str, basic: Option<&str>) -> Result<String, String> {
        let parameter = |name| http::parameter(parameters, name);
        let realm = parameter("realm").ok_or("the registry does not say who hands out tokens")?;
        let scope = format!("repository:{}:pull", self.reference.name());
        let mut query = vec![("scope", scope)];
        if let Some(service) = parameter("service") {
            query.push(("service", service));
        }
        let mut answer = self.client.query(&realm, &query, basic, TOKEN)?;
        if answer.status != 200 {
            return Err(format!(
                "who hands out tokens for the registry answers {}: {}",
                answer.status,
                match basic {
                    Some(_) => "the credentials for it may be wrong",
                    None => "there are no credentials for it",
                }
            ));
        }
        let text = bounded(&mut answer.body, TOKEN, "the token")?;
        let said: Token =
            serde_json::from_slice(&text).map_err(|e| format!("the token cannot be read: {e}"))?;
        let token = said.token.or(said.access_token);
        let token = token.ok_or("no token is handed out")?;
        match token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(format!("Bearer {token}")),
            false => Err("the token is none".into()),
        }
    }
}

#[derive(serde::Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// All of an answer, if it is not too long.
fn bounded(body: &mut impl Read, most: u64, what: &str) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let mut body = body.take(most.saturating_add(1));
    body.read_to_end(&mut text)
        .map_err(|e| http::unread(what, &e))?;
    match text.len() as u64 > most {
        true => Err(format!("{what} has more than {most} bytes")),
        false => Ok(text),
    }
}

/// Writes a part into the layout, and verifies it on the way; nothing more of it is read than it should have.
fn keep(body: &mut impl Read, part: &Part, folder: &Path) -> Result<(), String> {
    let Part { digest, size } = part;
    let path = folder.join(blob(digest));
    let local = |e: io::Error| format!("{}: {e}", path.display());
    let parent = path.parent().unwrap_or(folder);
    let mut directories = DirBuilder::new();
    let made = directories.recursive(true).mode(0o700).create(parent);
    made.map_err(local)?;
    let mut file = create(&path).map_err(local)?;
    let mut hasher = digest.hasher();
    let mut buffer = vec![0; 128 << 10];
    let mut got = 0u64;
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(http::unread(&digest.to_string(), &error)),
        };
        got = got.saturating_add(n as u64);
        if got > *size {
            return Err(format!(
                "{digest} has more than the {size} bytes that it should have"
            ));
        }
        let bytes = buffer.get(..n).unwrap_or_default();
        hasher.update(bytes);
        file.write_all(bytes).map_err(local)?;
    }
    if got < *size {
        return Err(format!("{digest} is truncated: {got} bytes of {size} came"));
    }
    verified(&digest.to_string(), digest, &hasher.finish())
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

fn verified(what: &str, wanted: &Digest, found: &Digest) -> Result<(), String> {
    match wanted == found {
        true => Ok(()),
        false => Err(format!(
            "{what} is not what its digest says: {found} came, and {wanted} was asked for"
        )),
    }
}
