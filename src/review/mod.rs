//! What a profile permits, as plain data, and how two profiles compare in it.
//!
//! Every section says what it permits as a list of [`Grant`]s; this folder knows nothing of
//! sections. One comparison, [`compare::beyond`], serves all: `sandbox diff` asks it in both
//! directions, a ceiling in one, and the exposure is the sum over the list itself.
//!
//! Everything here errs towards "wider": what cannot be shown to be contained counts as more.

pub mod arguments;
pub mod ceiling;
pub mod compare;
pub mod grant;
pub mod names;
pub mod render;
pub mod score;
pub mod tree;
pub mod view;

pub use grant::{Area, Extent, Grant};
