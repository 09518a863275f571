//! `sandbox schema`: the language, for editors and for people.

use super::arguments::{Schema, SchemaFormat};
use super::{Refused, output};
use crate::profile::table::Table as _;
use crate::profile::{manual, schema};
use crate::sections::Raw;

pub(super) fn run(arguments: &Schema) -> Result<u8, Refused> {
    let shape = const { &Raw::SHAPE };
    output(&match arguments.format {
        SchemaFormat::Json => format!("{:#}\n", schema::schema(shape)),
        SchemaFormat::Markdown => manual::markdown(shape),
    })?;
    Ok(0)
}
