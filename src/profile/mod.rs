//! The language of profiles: text, places, variables, tables, values. What the tables mean stands
//! in [`crate::sections`].

pub mod find;
pub mod table;
pub mod text;
pub mod value;
pub mod variables;
