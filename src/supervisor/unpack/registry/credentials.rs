//! The caller's credentials for a registry, where `docker login` and `podman login` keep them
//! (containers-auth.json(5)).

use crate::host::images::Reference;
use crate::host::images::layout::open_regular;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

/// The most bytes of a file.
const FILE: u64 = 1 << 20;

/// Docker's registry has had another name in this file since its first version.
const DOCKER: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// Who asks.
pub(super) struct Credentials(String);

#[derive(Deserialize)]
struct Known {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    /// The name and the password, with a colon between, in base64.
    #[serde(default)]
    auth: String,
}

impl Credentials {
    /// Those for an image, of the first file that has some; those for a longer part of its name come first.
    pub(super) fn of(reference: &Reference, files: &[PathBuf]) -> Result<Option<Self>, String> {
        for path in files {
            let with = |why: String| format!("{}: {why}", path.display());
            let Ok(file) = open_regular(path) else {
                continue;
            };
            let mut text = Vec::new();
            file.take(FILE)
                .read_to_end(&mut text)
                .map_err(|e| with(e.to_string()))?;
            // The words of the parser do not repeat what stands there.
            let known: Known = serde_json::from_slice(&text).map_err(|e| with(e.to_string()))?;
            let Some(auth) = entry(&known, reference).filter(|auth| !auth.is_empty()) else {
                continue;
            };
            let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
            return match auth.bytes().all(is_base64) {
                true => Ok(Some(Self(auth.to_owned()))),
                false => Err(with(format!("its `auth` for {} is none", reference.host()))),
            };
        }
        Ok(None)
    }

    /// As a header says them (RFC 7617).
    pub(super) fn basic(&self) -> String {
        format!("Basic {}", self.0)
    }
}

fn entry<'k>(known: &'k Known, reference: &Reference) -> Option<&'k str> {
    let mut key = format!("{}/{}", reference.host(), reference.name());
    loop {
        if let Some(entry) = known.auths.get(&key) {
            return Some(&entry.auth);
        }
        match key.rsplit_once('/') {
            Some((shorter, _)) => key = shorter.to_owned(),
            None => break,
        }
    }
    let host = reference.host();
    let old = |key: String| known.auths.get(&key).map(|entry| &entry.auth[..]);
    old(format!("https://{host}"))
        .or_else(|| old(format!("https://{host}/")))
        .or_else(|| (host == DOCKER.0).then(|| old(DOCKER.1.into())).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_part_of_a_name_counts() {
        let text = r#"{"auths":{"quay.io":{"auth":"aG9zdA=="},"quay.io/a/b":{"auth":"bmFtZQ=="},
            "https://index.docker.io/v1/":{"auth":"ZG9ja2Vy"}},"credsStore":"x"}"#;
        let known: Known = serde_json::from_str(text).unwrap();
        let of = |text: &str| entry(&known, &Reference::parse(text).unwrap());
        assert_eq!(of("quay.io/a/b/c:1"), Some("bmFtZQ=="));
        assert_eq!(of("quay.io/a/bc:1"), Some("aG9zdA=="));
        assert_eq!(of("docker.io/debian:1"), Some("ZG9ja2Vy"));
        assert_eq!(of("evil.quay.io/a/b:1"), None);
        assert_eq!(of("quay.io:444/a/b:1"), None);
    }
}
