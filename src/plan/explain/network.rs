//! The words for operations on networks.

use crate::plan::egress::{self, Rules};
use crate::plan::op::network::{
    End, Forwarded, Limited, Macvlan, Names, Pair, Pasta, Protocol, Published, RESOLVER, Rule,
};
use crate::profile::value::Size;
use std::fmt::{Formatter, Result};
use std::net::IpAddr;

/// What is let through all the same.
pub(super) fn but(rules: &Rules, f: &mut Formatter<'_>) -> Result {
    let list = |rules: &[egress::Rule]| {
        let all: Vec<_> = rules.iter().map(egress::Rule::to_string).collect();
        all.join(", ")
    };
    if !rules.allow.is_empty() {
        write!(f, " but {}", list(&rules.allow))?;
    }
    match rules.deny.is_empty() {
        true => Ok(()),
        false => write!(f, "; and of that not {}", list(&rules.deny)),
    }
}

pub(super) fn filter(rules: &Rules, f: &mut Formatter<'_>) -> Result {
    f.write_str("let out, besides answers and what finds neighbours, nothing")?;
    but(rules, f)?;
    f.write_str(" (nftables, in the sandbox's network)")
}

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
        hardware,
        port,
    } = pair;
    write!(
        f,
        "connect {outside} on the host with {inside} inside (veth"
    )?;
    if let Some(mtu) = mtu {
        write!(f, ", mtu {mtu}")?;
    }
    if let Some(address) = hardware {
        write!(f, ", inside with the hardware address {address}")?;
    }
    if let Some(port) = port {
        let kind = if port.isolated { "isolated " } else { "" };
        write!(f, ", {kind}port of the bridge {}", port.bridge)?;
    }
    f.write_str(")")
}

pub(super) fn macvlan(macvlan: &Macvlan, f: &mut Formatter<'_>) -> Result {
    let Macvlan {
        on,
        inside,
        mtu,
        hardware,
    } = macvlan;
    write!(
        f,
        "connect {inside} inside with the network of {on} on the host (macvlan"
    )?;
    if let Some(mtu) = mtu {
        write!(f, ", mtu {mtu}")?;
    }
    if let Some(address) = hardware {
        write!(f, ", with the hardware address {address}")?;
    }
    f.write_str(")")
}

pub(super) fn limit(limited: &Limited, f: &mut Formatter<'_>) -> Result {
    let Limited {
        end,
        interface,
        rate,
        packet: _,
        behind: _,
    } = limited;
    let (place, rate) = (place(*end), Size(*rate));
    write!(
        f,
        "limit what {interface} {place} sends to {rate} each second"
    )
}

pub(super) fn serve(published: &Published, to: &[IpAddr], f: &mut Formatter<'_>) -> Result {
    let Published {
        protocol,
        address,
        port,
        inside,
    } = published;
    let word = protocol.word();
    let address = address.map_or_else(String::new, |address| address.to_string());
    write!(
        f,
        "listen on the {word} port {port} of {address}, and hand on to port {inside} of"
    )?;
    for (at, one) in to.iter().enumerate() {
        write!(f, "{} {one}", if at == 0 { "" } else { " or" })?;
    }
    Ok(())
}

pub(super) fn reserve(published: &Published, f: &mut Formatter<'_>) -> Result {
    let (word, port) = (published.protocol.word(), published.port);
    match published.address {
        Some(address) => write!(f, "reserve the {word} port {port} of {address}"),
        None => write!(f, "reserve the {word} port {port} of all addresses"),
    }
}

pub(super) fn forward(forwarded: Forwarded, f: &mut Formatter<'_>) -> Result {
    let Forwarded { protocol, port, to } = forwarded;
    let word = protocol.word();
    write!(
        f,
        "take what comes to port {port} ({word}) of the sandbox's loopback, for port {to} of the host's"
    )
}

pub(super) fn listen_for_names(protocol: Protocol, f: &mut Formatter<'_>) -> Result {
    let word = protocol.word();
    write!(
        f,
        "take questions about names at {RESOLVER} of the sandbox ({word})"
    )
}

pub(super) fn names(names: &Names, f: &mut Formatter<'_>) -> Result {
    let Names {
        bridge,
        own: _,
        servers,
        folder,
    } = names;
    let folder = folder.display().to_string();
    write!(
        f,
        "answer them by the names in {} of what runs on the bridge {bridge}",
        crate::diag::printable(&folder)
    )?;
    for (at, server) in servers.iter().enumerate() {
        let word = if at == 0 {
            ", and for others ask"
        } else {
            " or"
        };
        write!(f, "{word} {server}")?;
    }
    Ok(())
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
