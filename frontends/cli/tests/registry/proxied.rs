//! The proxy of the environment.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use longshore_testkit::registry::Registry;

use super::machine::Machine;

/// Connects whoever asks with one registry, whatever host they name; answers its address and what it was asked.
fn start(registry: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = asked.clone();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let notes = notes.clone();
            thread::spawn(move || connect(client, registry, &notes));
        }
    });
    (address, asked)
}

fn connect(mut client: TcpStream, registry: SocketAddr, notes: &Mutex<Vec<String>>) {
    let mut head = BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok);
    let first = head.next().unwrap_or_default();
    let _ = head.find(|line| line.is_empty());
    notes.lock().unwrap().push(first);
    let Ok(mut server) = TcpStream::connect(registry) else { return };
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").is_err() {
        return;
    }
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_registry_elsewhere_is_reached_through_the_proxy_of_the_environment() {
    let registry = Registry::start();
    let (proxy, asked) = start(registry.address());
    let machine = Machine::new();
    let output = "type=registry,name=registry.invalid:5000/app:1,registry.insecure=true";
    let mut command = machine.command(&["export", "rootfs:tree", "-o", output]);
    let url = format!("http://{proxy}");
    let ran = command.env("http_proxy", &url).env("https_proxy", &url).env_remove("no_proxy").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(registry.tags("app"), ["1"]);
    let asked = asked.lock().unwrap();
    assert!(!asked.is_empty() && asked.iter().all(|line| line.contains("registry.invalid:5000")), "{asked:?}");
}

#[test]
fn this_machine_is_reached_without_a_proxy() {
    let registry = Registry::start();
    let (proxy, asked) = start(registry.address());
    let machine = Machine::new();
    let output = format!("type=registry,name={}/app:1", registry.host());
    let mut command = machine.command(&["export", "rootfs:tree", "-o", &output]);
    let ran = command.env("http_proxy", format!("http://{proxy}")).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn a_proxy_that_is_none_is_an_error_and_not_repeated() {
    let machine = Machine::new();
    let output = "type=registry,name=registry.invalid:5000/app:1";
    let mut command = machine.command(&["export", "rootfs:tree", "-o", output]);
    let ran = command.env("https_proxy", "http://user:secret@").env_remove("no_proxy").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("https_proxy is not the URL of a proxy"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}
