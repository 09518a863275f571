//! `sandbox score`: how open profiles are.

use super::arguments::Score;
use super::{Refused, Session, output};
use crate::review::render;
use crate::review::score::score;

/// A profile is more open than the threshold.
const ABOVE: u8 = 1;

pub(super) fn run(arguments: &Score, session: &mut Session) -> Result<u8, Refused> {
    let named = arguments.profiles.iter().map(|name| Some(name.as_str()));
    let mut names: Vec<_> = named.collect();
    if names.is_empty() {
        names.push(None);
    }
    let (mut text, mut json, mut code) = (String::new(), Vec::new(), 0);
    for name in names {
        let (name, grants) = session.reviewed(name)?;
        let score = score(&grants);
        if arguments
            .threshold
            .is_some_and(|threshold| f64::from(score.exposure.0) / 10.0 > threshold)
        {
            code = ABOVE;
        }
        text.push_str(&render::score(&name, &score, &session.sources));
        json.push(render::score_json(&name, &score, &session.sources));
    }
    output(&if arguments.json {
        render::pretty(&json.into())
    } else {
        text
    })?;
    Ok(code)
}
