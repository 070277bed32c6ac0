//! What an engine is asked for.

use std::fmt::Write;
use std::io::Read;

use longshore_content::Cancel;
use longshore_oci::{Context, Digest, Error, ErrorKind, ImageName, Result};
use serde::Deserialize;
use ureq::http::Method;

use crate::images::{Description, Listed};
use crate::request::{Connections, accepted};
use crate::{Endpoint, EngineImage, Inspected, Keeps, answer};

/// How often an engine is asked for its images again.
const LISTS: usize = 20;

/// An engine, for one request at a time.
#[derive(Debug)]
pub struct Engine {
    connections: Connections,
}

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "Components")]
    components: Option<Vec<Component>>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(rename = "Name")]
    name: String,
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "DriverStatus")]
    status: Option<Vec<Vec<String>>>,
}

impl Engine {
    /// Prepares connections to an engine. Requests fail when `cancel` does.
    pub fn new(endpoint: Endpoint, cancel: &Cancel) -> Self {
        Self { connections: Connections::new(endpoint, cancel) }
    }

    /// Returns where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.connections.endpoint
    }

    /// Returns how it keeps images: the first question to an engine.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if nothing listens there, or no engine;
    /// [`Denied`](ErrorKind::Denied) without the permission to connect.
    pub fn keeps(&self) -> Result<Keeps> {
        let version: Version = self.asked("/version")?;
        if version.components.unwrap_or_default().iter().any(|component| component.name.starts_with("Podman")) {
            return Ok(Keeps::LayersOfBlobs);
        }
        let info: Info = self.asked("/info")?;
        let is_containerd = |pair: &Vec<String>| pair.last().is_some_and(|value| value.starts_with("io.containerd."));
        let mut status = info.status.unwrap_or_default().into_iter();
        Ok(if status.any(|pair| is_containerd(&pair)) { Keeps::Blobs } else { Keeps::Layers })
    }

    fn asked<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.connections.document(path)
    }

    /// Returns all images of an engine that [keeps](Self::keeps) them so, the newest first.
    ///
    /// # Errors
    /// Those of connections, and of the engine.
    pub fn images(&self, keeps: Keeps) -> Result<Vec<EngineImage>> {
        let path = match keeps {
            Keeps::Blobs => "/images/json?manifests=1",
            Keeps::Layers | Keeps::LayersOfBlobs => "/images/json?all=1",
        };
        let mut attempts = 0;
        let listed: Vec<Listed> = loop {
            match self.asked(path) {
                // An image that is removed while it is listed fails the whole list.
                Err(error) if error.kind() == ErrorKind::NotFound && attempts < LISTS => attempts += 1,
                listed => break listed?,
            }
        };
        Ok(listed.into_iter().filter_map(|listed| listed.image(keeps)).collect())
    }

    /// Returns the image with a name or an ID; `None` if it is missing.
    ///
    /// # Errors
    /// Those of connections, and of the engine.
    pub fn inspect(&self, name: &str) -> Result<Option<Inspected>> {
        let path = format!("/images/{}/json", encoded(name, "/:@"));
        match self.asked::<Description>(&path) {
            Ok(description) => {
                let malformed = || Error::new(ErrorKind::Unavailable, format!("the response to {path} is malformed"));
                description.image().map(Some).ok_or_else(malformed)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Loads the images of an archive, which is sent as it is read. If reading it fails, the engine gets no whole
    /// archive.
    ///
    /// # Errors
    /// Those of reading `archive`, of the connection, and those in the response: nothing is loaded then, or an image that
    /// lacks content, by ID.
    pub fn load(&self, archive: &mut (dyn Read + Send)) -> Result<()> {
        const PATH: &str = "/images/load?quiet=1";
        let response = self.connections.upload(PATH, archive)?;
        answer::read("/images/load", response)
    }

    /// Names an image.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no image with this ID; a name by digest, which is no tag.
    pub fn tag(&self, id: &Digest, name: &ImageName) -> Result<()> {
        let Some(tag) = name.tag().filter(|_| name.digest().is_none()) else {
            return Err(Error::option(format!("`{name}` is not a name that an image of an engine can get")));
        };
        let repository = format!("{}/{}", name.registry(), name.repository());
        let path = format!("/images/{id}/tag?repo={}&tag={}", encoded(&repository, ""), encoded(tag, ""));
        self.done(Method::POST, &path).attempt(|| format!("cannot name {id} `{name}`"))
    }

    /// Removes an image without names; one that has more than one name stays.
    ///
    /// # Errors
    /// Those of connections, and of the engine.
    pub fn remove(&self, id: &Digest) -> Result<()> {
        self.done(Method::DELETE, &format!("/images/{id}?noprune=1"))
    }

    fn done(&self, method: Method, path: &str) -> Result<()> {
        accepted(path, self.connections.send(method, path)?).map(drop)
    }

    /// Returns an archive of the image with a name or an ID, which arrives while it is read.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if it is missing; those of connections, and of the engine.
    pub fn save(&self, name: &str) -> Result<impl Read + Send + use<>> {
        self.connections.stream(&format!("/images/{}/get", encoded(name, "/:@")))
    }
}

/// Encodes a part of a URI, in which the bytes of `also` stay (RFC 3986, section 2.1).
fn encoded(text: &str, also: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.as_bytes().contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_uri_may_not_contain_is_encoded() {
        assert_eq!(encoded("ghcr.io/a/b:1@sha256:0", "/:@"), "ghcr.io/a/b:1@sha256:0");
        assert_eq!(encoded("a b?c#é", "/:@"), "a%20b%3Fc%23%C3%A9");
        assert_eq!(encoded("r:5000/a", ""), "r%3A5000%2Fa");
    }
}
