//! Where a registry may send its clients: never to metadata services, and from elsewhere not into their network.

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use longshore_content::{Delivery, Provider, PushBlob, Pusher, RegistryOptions};
use longshore_oci::{Digest, Error, ErrorKind, Result};
use longshore_testkit::registry::{Registry, Rule, TokenOptions};

use crate::kit::*;

/// The hosts of a metadata service, in several spellings.
const LINK_LOCAL: [&str; 6] =
    ["169.254.169.254", "169.254.8.9:8080", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fe80::a9fe]:80"];

#[track_caller]
fn assert_refused(error: &Error, registry: &str, what: &str) {
    let said = error.with_causes();
    assert_eq!(error.kind(), ErrorKind::Denied, "{said}");
    assert!(said.contains(&format!("{registry} leads to ")) && said.contains(what), "{said}");
    assert!(!said.contains("secret"), "{said}");
    assert!(error.hint().is_some_and(|hint| hint.contains("internal_addresses = true")), "{error:?}");
}

#[test]
fn an_upload_does_not_go_to_a_metadata_service() {
    for host in LINK_LOCAL {
        let base = format!("http://{host}");
        let registry = Registry::builder().absolute_location(&base).location_query("signature=secret").start();
        let kit = Kit::new();
        let pushed = kit.push(registry.host(), &noise(300)).unwrap_err();
        assert_refused(&pushed, registry.host(), "a link-local address");
        let streamed = kit.stream(registry.host(), &noise(300)).unwrap_err();
        assert_refused(&streamed, registry.host(), "a link-local address");
        assert_eq!(count(&registry, "POST", UPLOADS), 2, "{host}");
    }
}

#[test]
fn a_redirect_does_not_lead_to_a_metadata_service() {
    for host in LINK_LOCAL {
        let registry = Registry::start();
        let place = format!("http://{host}/latest/meta-data?secret");
        registry.fail(Rule::on("GET", "/manifests/").redirect(&place).times(1000));
        registry.fail(Rule::on("GET", "/blobs/").redirect(&place).times(1000));
        let repository = Kit::new().pull(registry.host());
        assert_refused(&repository.resolve("1.0").unwrap_err(), registry.host(), "a link-local address");
        let opened = repository.open(&Digest::of(b"x"), 0).err().unwrap();
        assert_refused(&opened, registry.host(), "a link-local address");
        assert_eq!(registry.requests().len(), 3, "{host}: {:?}", registry.requests());
    }
}

#[test]
fn a_token_server_is_no_metadata_service() {
    for host in LINK_LOCAL {
        let options = TokenOptions { realm: Some(format!("https://{host}/token")), ..TokenOptions::default() };
        let registry = Registry::builder().tokens(options).start();
        let error = Kit::new().pull(registry.host()).resolve("1.0").unwrap_err();
        assert_refused(&error, registry.host(), "a link-local address");
    }
}

/// A proxy that brings each address to the same port of this machine.
fn proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || tunnel(stream));
        }
    });
    host
}

fn tunnel(mut client: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let port: u16 = first.split(' ').nth(1)?.rsplit(':').next()?.parse().ok()?;
    let mut line = String::new();
    while line.trim() != "" || line.is_empty() {
        line.clear();
        reader.read_line(&mut line).ok()?;
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").ok()?;
    let (mut back, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    thread::spawn(move || {
        let _ = copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = copy(&mut reader, &mut server);
    let _ = server.shutdown(Shutdown::Write);
    Some(())
}

/// Runs a test in which a registry can be at any address.
fn anywhere<F: FnOnce(&Home)>(test: F) {
    let proxy = proxy();
    isolated_with(&[("all_proxy", &proxy), ("no_proxy", "")], test);
}

fn port(registry: &Registry) -> u16 {
    registry.address().port()
}

/// Pushes to a registry that is said to be at `address`.
fn push_at(kit: &Kit, address: &str, registry: &Registry, bytes: &[u8]) -> Result<Delivery> {
    let host = format!("{address}:{}", port(registry));
    let session = kit.pusher.repository(&name(&host, REPOSITORY), RegistryOptions::default().with_insecure(true))?;
    let descriptor = &kit.store.put(layer(), bytes);
    session.blob(&PushBlob::new(descriptor, &kit.store).with_verified(true), &kit.work())
}

/// The host of this registry under which its uploads are.
fn leading_to(address: &str) -> Registry {
    let storage = Registry::builder().absolute_location(&format!("http://{address}:{{port}}"));
    storage.start()
}

#[test]
fn a_registry_leads_outwards_only() {
    anywhere(|_| {
        for (from, to, what) in [
            ("93.184.216.34", "10.1.2.3", "a private address"),
            ("93.184.216.34", "192.168.77.1", "a private address"),
            ("93.184.216.34", "100.64.3.3", "a private address"),
            ("93.184.216.34", "[fd12::5]", "a private address"),
            ("93.184.216.34", "127.0.0.1", "an address of this machine"),
            ("93.184.216.34", "localhost", "an address of this machine"),
            ("93.184.216.34", "0", "an address of this machine"),
            ("10.1.2.3", "127.0.0.1", "an address of this machine"),
            ("10.1.2.3", "localhost", "an address of this machine"),
            ("registry.example", "172.20.0.1", "a private address"),
            ("10.1.2.3", "10.9.9.9", ""),
            ("10.1.2.3", "93.184.216.34", ""),
            ("93.184.216.34", "93.184.216.35", ""),
            ("registry.example", "uploads.example", ""),
        ] {
            let registry = leading_to(to);
            let pushed = push_at(&Kit::new(), from, &registry, &noise(300));
            match what {
                "" => assert_eq!(pushed.unwrap(), Delivery::Sent { resumed: 0 }, "{from} {to}"),
                what => assert_refused(&pushed.unwrap_err(), &format!("{from}:{}", port(&registry)), what),
            }
        }
    });
}

#[test]
fn what_is_meant_is_allowed() {
    anywhere(|home| {
        let registry = leading_to("127.0.0.1");
        let all = options(LONG, 4).with_internal_addresses(true);
        push_at(&Kit::with(all), "93.184.216.34", &registry, &noise(300)).unwrap();
        push_at(&Kit::new(), "93.184.216.34", &registry, &noise(400)).unwrap_err();
        home.hosts_toml(&format!("93.184.216.34:{}", port(&registry)), "internal_addresses = true\n");
        push_at(&Kit::new(), "93.184.216.34", &registry, &noise(400)).unwrap();
        push_at(&Kit::new(), "93.184.216.35", &registry, &noise(500)).unwrap_err();
        assert!(registry.blob(REPOSITORY, &Digest::of(&noise(500))).is_none());
    });
}
