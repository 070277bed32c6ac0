//! Certificates in a directory for a host, named as in Docker: `*.crt` are authorities, `NAME.cert` and
//! `NAME.key` are ours.

use std::fs;
use std::path::Path;

use longshore_oci::{Context, Error, Result};
use ureq::tls::{Certificate, ClientCert, PemItem, parse_pem};

use crate::http::Tls;

pub(super) fn read(place: &Path) -> Result<Tls> {
    let mut tls = Tls::default();
    let mut paths = fs::read_dir(place)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => tls.roots.extend(authorities(&path)?),
            Some("cert") if tls.client.is_none() => tls.client = Some(pair(&path, &path.with_extension("key"))?),
            _ => {}
        }
    }
    Ok(tls)
}

/// Returns the certificates in a file, at least one.
pub(super) fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let items = items(path)?.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let found: Vec<_> = items.collect();
    if found.is_empty() {
        return Err(Error::input(format!("no certificate found in {}", path.display())));
    }
    Ok(found)
}

/// Our certificate, its chain to an authority, and its key.
pub(super) fn pair(certificate: &Path, key: &Path) -> Result<ClientCert> {
    let chain = authorities(certificate)?;
    let mut keys = items(key)?.into_iter().filter_map(|item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    let key = keys.next().ok_or_else(|| Error::input(format!("no private key found in {}", key.display())))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn items(path: &Path) -> Result<Vec<PemItem<'static>>> {
    let read = || -> Result<Vec<PemItem<'static>>> {
        let bytes = fs::read(path)?;
        let items = parse_pem(&bytes).map(|item| item.map_err(|error| Error::input("not PEM").with_source(error)));
        items.collect()
    };
    read().attempt(|| format!("cannot read {}", path.display()))
}
