//! The words for operations on networks.

use crate::plan::op::network::{End, Pair, Pasta, Published, Rule};
use std::fmt::{Formatter, Result};

pub(super) const fn place(end: End) -> &'static str {
    match end {
        End::Host => "on the host",
        End::Inside => "inside",
    }
}

pub(super) fn pair(pair: &Pair, f: &mut Formatter<'_>) -> Result {
    let Pair {
        outside,
        inside,
        mtu,
        port,
    } = pair;
    write!(
        f,
        "connect {outside} on the host with {inside} inside (veth"
    )?;
    if let Some(mtu) = mtu {
        write!(f, ", mtu {mtu}")?;
    }
    if let Some(port) = port {
        let kind = if port.isolated { "isolated " } else { "" };
        write!(f, ", {kind}port of the bridge {}", port.bridge)?;
    }
    f.write_str(")")
}

pub(super) fn reserve(published: &Published, f: &mut Formatter<'_>) -> Result {
    let (word, port) = (published.protocol.word(), published.port);
    match published.address {
        Some(address) => write!(f, "reserve the {word} port {port} of {address}"),
        None => write!(f, "reserve the {word} port {port} of all addresses"),
    }
}

pub(super) fn translate(table: &str, rules: &[Rule], f: &mut Formatter<'_>) -> Result {
    write!(f, "make the table {table} of nftables")?;
    for (at, rule) in rules.iter().enumerate() {
        write!(f, "{} {rule}", if at == 0 { ":" } else { ";" })?;
    }
    Ok(())
}

pub(super) fn pasta(pasta: &Pasta, f: &mut Formatter<'_>) -> Result {
    let program = pasta.program.display().to_string();
    write!(
        f,
        "start {} {}, for the sandbox's network",
        crate::diag::printable(&program),
        pasta.arguments.join(" ")
    )
}
