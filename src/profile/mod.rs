//! The language of profiles: text, places, variables, tables, values. What the tables mean stands
//! in [`crate::sections`].

pub mod document;
pub mod extends;
pub mod find;
pub mod manual;
pub mod mentions;
pub mod merge;
pub mod node;
pub mod overlay;
pub mod parameters;
pub mod pattern;
pub mod revision;
pub mod schema;
pub mod shape;
pub mod show;
pub mod system;
pub mod table;
pub mod text;
pub mod value;
pub mod variables;
