//! The promises: each test starts real sandboxes and looks at them from outside and from inside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]
// One crate, of which nobody uses anything.
#![allow(unreachable_pub)]

mod bad_input;
mod bus;
mod calls;
mod capabilities;
mod ceiling;
mod changes;
mod check;
mod copies;
mod cpu_time;
mod denials;
mod depth;
mod device_rules;
mod doctor;
mod egress;
mod environment;
mod explained;
mod fail_closed;
mod families;
mod files;
mod foreign;
mod gc;
mod given_back;
mod group_path;
mod idle;
mod ids;
mod images;
mod io;
mod joined;
mod joining;
mod labels;
mod leftovers;
mod limits;
mod live;
mod mounts;
mod namespaces;
mod nested;
mod network;
mod nodes;
mod old_root;
mod output;
mod owners;
mod parts;
mod pausing;
mod peers;
mod privileges;
mod process;
mod proofs;
mod report;
mod rights;
mod running;
mod scope;
mod screen;
mod serving;
mod settings;
mod shares;
mod soft_limits;
mod sources;
mod start;
mod stopping;
mod streams;
mod stress;
mod support;
mod surroundings;
mod swaps;
mod sysctls;
mod terminal;
mod traces;
mod watching;
mod why;
