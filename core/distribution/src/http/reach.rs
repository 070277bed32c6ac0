//! Which addresses a registry may lead to, by redirects, upload locations and token servers.
//!
//! The address of the connection counts, not the name: a name may resolve to any address, and to another one the
//! next time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use longshore_oci::{Error, ErrorKind};
use parking_lot::Mutex;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::Certificate;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::cause::{Cause, unknown_host};
use super::exchange::is_of;
use super::url::host;
use super::{Reason, Url};

/// A part of the address space, ordered from the least reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Zone {
    /// This machine: 127.0.0.0/8, ::1, and the unspecified addresses, which are equivalent.
    Loopback,
    /// One link: 169.254.0.0/16 and fe80::/10, where clouds have their metadata services.
    LinkLocal,
    /// One network: RFC 1918, 100.64.0.0/10, fc00::/7 and fec0::/10.
    Private,
    /// Everything else.
    Public,
}

impl Zone {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match inner_v4(address) {
                Some(inner) => Self::of_v4(inner),
                None => Self::of_v6(address),
            },
        }
    }

    /// Returns the zone of a host, with or without a port, if it is an address.
    pub(super) fn of_host(authority: &str) -> Option<Self> {
        literal(host(authority)).map(Self::of)
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [0 | 127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [100, 64..=127, ..] => Self::Private,
            _ if address.is_private() => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        match address.segments()[0] {
            _ if address.is_loopback() || address.is_unspecified() => Self::Loopback,
            0xfe80..=0xfebf => Self::LinkLocal,
            0xfc00..=0xfdff | 0xfec0..=0xfeff => Self::Private,
            _ => Self::Public,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Loopback => "an address of this machine",
            Self::LinkLocal => "a link-local address",
            Self::Private => "a private address",
            Self::Public => "a public address",
        }
    }
}

/// Returns the IPv4 address embedded in an IPv6 address: mapped, compatible, or translated (RFC 4291, RFC 6052).
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let translated = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    };
    let is_special = address.is_loopback() || address.is_unspecified();
    translated.or_else(|| address.to_ipv4().filter(|_| !is_special))
}

/// Reads an address in any form that the system accepts: `127.1`, `0x7f.1`, `2130706433`.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let host = host.split('%').next().unwrap_or_default();
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let parts = host.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let bits = 32 - 8 * first.len() as u32;
    let fits = bits == 32 || *last < 1 << bits;
    let high = first.iter().fold(0_u32, |all, part| all << 8 | part).checked_shl(bits).unwrap_or_default();
    fits.then(|| IpAddr::V4(Ipv4Addr::from_bits(high | last)))
}

/// Reads a number as C writes it: decimal, octal or hexadecimal.
fn number(text: &str) -> Option<u32> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => u32::from_str_radix(digits, 16).ok(),
        (None, Some(digits)) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        _ => text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?,
    }
}

/// A registry that leads to a host.
#[derive(Debug, Clone)]
pub(crate) struct Lead {
    /// The registry's host and port.
    pub(crate) registry: String,
    /// Where the registry is; `None` if it may lead anywhere.
    pub(crate) zone: Option<Zone>,
    /// Certificate authorities trusted only for the registry's host, on all of its ports.
    pub(crate) roots: Arc<[Certificate<'static>]>,
}

impl Lead {
    /// Returns whether `url` is on the registry's own host.
    pub(crate) fn is_own_host(&self, url: &Url) -> bool {
        host(&self.registry).eq_ignore_ascii_case(host(&url.authority))
    }

    /// Checks an address of `target`.
    ///
    /// # Errors
    /// Fails if the registry may not lead there: to a link-local address, from elsewhere to this machine, or from
    /// a public to a private address.
    fn check(&self, target: &str, address: IpAddr) -> Result<(), Error> {
        let zone = Zone::of(address);
        let is_refused = match (self.zone, zone) {
            (None, _) => false,
            (Some(_), Zone::LinkLocal) => true,
            (Some(own), Zone::Loopback) => own != Zone::Loopback,
            (Some(own), Zone::Private) => own == Zone::Public,
            (Some(_), Zone::Public) => false,
        };
        if !is_refused {
            return Ok(());
        }
        let Self { registry, .. } = self;
        let target = host(target);
        let what = if target.parse() == Ok(address) { String::new() } else { format!("{target}, which is ") };
        let message = format!("{registry} leads to {what}{address}, {}", zone.name());
        let hint = format!(
            "if that is intended, set internal_addresses = true in ~/.config/longshore/certs.d/{registry}/hosts.toml"
        );
        Err(Error::new(ErrorKind::Denied, message).with_hint(hint))
    }

    /// Checks a host that is itself an address. A proxy would connect to it unchecked.
    pub(super) fn check_literal(&self, url: &Url) -> Result<(), Error> {
        literal(host(&url.authority)).map_or(Ok(()), |address| self.check(&url.authority, address))
    }
}

/// Resolves one host, and drops the addresses that a registry may not lead to.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Host and port. Any other belongs to a proxy, which the user chose.
    pub(super) authority: String,
    pub(super) lead: Option<Lead>,
    /// The widest zone in which the host was found.
    pub(super) zone: Arc<Mutex<Option<Zone>>>,
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = find(uri, config, timeout)?;
        if !is_of(uri, &self.authority) {
            return Ok(found);
        }
        let mut allowed = DefaultResolver::default().empty();
        let mut refused = None;
        for address in found.iter() {
            match self.lead.as_ref().map_or(Ok(()), |lead| lead.check(&self.authority, address.ip())) {
                Ok(()) => allowed.push(*address),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if let Some(error) = refused.filter(|_| allowed.is_empty()) {
            return Err(Cause::new(Reason::Final, error).into());
        }
        let mut zone = self.zone.lock();
        *zone = allowed.iter().map(|address| Zone::of(address.ip())).chain(*zone).max();
        Ok(allowed)
    }
}

fn find(uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
    let resolver = DefaultResolver::default();
    let address = uri.host().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    if let (Some(address), Some(port)) = (address, port(uri)) {
        let mut found = resolver.empty();
        found.push(SocketAddr::new(address, port));
        return Ok(found);
    }
    resolver.resolve(uri, config, timeout).map_err(|error| match error {
        // Whatever the system says about a name, it has no address to connect to.
        ureq::Error::Io(error) if error.raw_os_error().is_none() => {
            let said = error.to_string();
            let said = said.rsplit(": ").next().unwrap_or_default().to_owned();
            let host = uri.host().unwrap_or_default();
            Cause::new(Reason::Nowhere, unknown_host(host, Some(&said)).into_error()).into()
        }
        error => error,
    })
}

fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or(match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(address: &str) -> Zone {
        Zone::of(address.parse().unwrap())
    }

    #[test]
    fn addresses_have_zones() {
        for (address, expected) in [
            ("127.8.9.1", Zone::Loopback),
            ("0.0.0.0", Zone::Loopback),
            ("::1", Zone::Loopback),
            ("::", Zone::Loopback),
            ("::ffff:127.0.0.1", Zone::Loopback),
            ("169.254.0.1", Zone::LinkLocal),
            ("fe80::1", Zone::LinkLocal),
            ("febf::1", Zone::LinkLocal),
            ("::ffff:169.254.10.10", Zone::LinkLocal),
            ("::169.254.10.10", Zone::LinkLocal),
            ("64:ff9b::a9fe:a0a", Zone::LinkLocal),
            ("10.255.0.1", Zone::Private),
            ("172.31.255.255", Zone::Private),
            ("192.168.0.1", Zone::Private),
            ("100.127.0.1", Zone::Private),
            ("fd00::1", Zone::Private),
            ("172.32.0.1", Zone::Public),
            ("100.128.0.1", Zone::Public),
            ("169.253.0.1", Zone::Public),
            ("2001:db8::1", Zone::Public),
            ("fec0::1", Zone::Private),
        ] {
            assert_eq!(zone(address), expected, "{address}");
        }
    }

    #[test]
    fn addresses_are_read_in_all_spellings() {
        let expected = Some("169.254.10.9".parse().unwrap());
        for host in ["169.254.10.9", "2851998217", "0xa9fe0a09", "0251.0376.012.011", "169.254.2569", "169.0xfe0a09"] {
            assert_eq!(literal(host), expected, "{host}");
        }
        assert_eq!(literal("[::ffff:a9fe:a09]").map(Zone::of), Some(Zone::LinkLocal));
        assert_eq!(literal("[fe80::1%25eth0]").map(Zone::of), Some(Zone::LinkLocal));
        assert_eq!(literal("127.0.0.1."), Some("127.0.0.1".parse().unwrap()));
        for name in ["registry.example", "1.2.3.4.5", "256.1", "1.2.3.256", "0x", "", "4294967296", "a.1"] {
            assert_eq!(literal(name), None, "{name}");
        }
    }

    #[test]
    fn a_registry_leads_outwards_only() {
        let places = ["127.0.0.1", "169.254.1.2", "10.0.0.1", "93.184.216.34"];
        let allowed = |zone| {
            let lead = Lead { registry: "r.example:5000".to_owned(), zone, roots: Arc::new([]) };
            places.map(|place| lead.check(&format!("{place}:80"), place.parse().unwrap()).is_ok())
        };
        assert_eq!(allowed(Some(Zone::Loopback)), [true, false, true, true]);
        assert_eq!(allowed(Some(Zone::LinkLocal)), [false, false, true, true]);
        assert_eq!(allowed(Some(Zone::Private)), [false, false, true, true]);
        assert_eq!(allowed(Some(Zone::Public)), [false, false, false, true]);
        assert_eq!(allowed(None), [true; 4]);
    }

    /// A name is judged by all of its addresses, each time that it is looked up.
    #[test]
    fn names_are_judged_by_their_addresses() {
        let authority = "localhost:5000".to_owned();
        let uri = "http://localhost:5000/x".parse().unwrap();
        let resolve = |zone| {
            let lead = Some(Lead { registry: "r.example".to_owned(), zone, roots: Arc::new([]) });
            let addresses = Addresses { authority: authority.clone(), lead, zone: Arc::default() };
            addresses.resolve(&uri, &Config::default(), NextTimeout::default()).map(|found| found.len())
        };
        assert!(resolve(Some(Zone::Loopback)).unwrap() > 0);
        let error = resolve(Some(Zone::Public)).unwrap_err().to_string();
        assert!(error.contains("r.example leads to localhost, which is "), "{error}");
        assert!(error.contains("an address of this machine"), "{error}");
    }
}
