//! The language of profiles: text, places, variables, tables, values. What the tables mean stands
//! in [`crate::sections`].

pub mod find;
pub mod mentions;
pub mod revision;
pub mod system;
pub mod table;
pub mod text;
pub mod value;
pub mod variables;
