//! Who stands between the command and message buses.

use std::path::PathBuf;

/// How xdg-dbus-proxy(1) is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusProxy {
    /// The program.
    pub program: PathBuf,
    /// A folder for its sockets, which is made for this run and goes with it.
    pub folder: PathBuf,
    /// The buses.
    pub buses: Vec<Proxied>,
}

/// A bus of which only a part is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// Its address (D-Bus Specification, "Server Addresses").
    pub address: String,
    /// The name of the socket in the folder.
    pub name: String,
    /// What is permitted, as options of the proxy.
    pub rules: Vec<String>,
}
