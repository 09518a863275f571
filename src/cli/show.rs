//! `sandbox show`: what holds, and where each value comes from.

use super::arguments::{Show, ShowFormat};
use super::{Refused, Session, output};
use crate::profile::show::{self, Detail};
use crate::profile::table::Table as _;
use crate::sections::Raw;

pub(super) fn run(arguments: &Show, session: &mut Session) -> Result<u8, Refused> {
    let document = session.document(&arguments.selection)?;
    let shape = const { &Raw::SHAPE };
    let text = match arguments.format {
        ShowFormat::Toml => show::toml(&document, shape, &session.sources, Detail::Origins),
        ShowFormat::Plain => show::toml(&document, shape, &session.sources, Detail::Plain),
        ShowFormat::Json => format!("{:#}\n", show::json(&document, shape, &session.sources)),
    };
    output(&text)?;
    Ok(0)
}
