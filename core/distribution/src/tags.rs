//! The tags of a repository: listed in pages, and deleted (distribution-spec 1.1, "Listing Tags", "Deleting manifests").

use longshore_content::Work;
use longshore_oci::{Context, Digest, Error, ErrorKind, ImageName, Result};
use serde::Deserialize;
use ureq::http::Method;

use crate::Client;
use crate::auth::Scope;
use crate::endpoint::{Call, Target};
use crate::http::{Failure, Payload, Response, next, run};

/// Pages of one list, and bytes of one page.
const PAGES: usize = 10_000;
const PAGE: u64 = 8 << 20;

#[derive(Deserialize)]
struct Page {
    /// `null` in a repository whose tags are all deleted.
    tags: Option<Vec<String>>,
}

impl Client {
    /// Visits the tags of a repository, one page after the other, in the order of the registry.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a repository that does not exist; a registry that refuses or cannot be reached;
    /// errors of `visit`.
    pub fn tags(&self, name: &ImageName, work: &Work, visit: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        let what = format!("cannot list the tags of {}/{}", name.registry(), name.repository());
        let first = format!("{}/tags/list", name.repository());
        let scopes = [Scope::pull(name.repository())];
        let endpoint = &self.registries.registry(name.registry(), self.is_insecure)?.endpoint;
        let mut url = None;
        for _ in 0..PAGES {
            let (page, following) = run(endpoint.policy(), work, || {
                let target = url.as_ref().map_or(Target::Path(&first), Target::Url);
                let response = endpoint.follow(get(Method::GET, target, &scopes), work)?.expect(&what, &[200])?;
                let following = next(&response.headers("link")).map(|target| response.url.join(&target)).transpose()?;
                Ok((page(response)?, following))
            })?;
            for tag in page.tags.unwrap_or_default() {
                visit(&tag)?;
            }
            match following {
                Some(following) => url = Some(following),
                None => return Ok(()),
            }
        }
        Err(Error::input(format!("{what}: the list has more than {PAGES} pages")))
    }

    /// Deletes what a tag or a digest names, and returns the digest that it had: the manifest, with all its tags.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if it does not exist; errors of a registry that refuses to delete, does not
    /// support it, or cannot be reached.
    pub fn delete(&self, name: &ImageName, work: &Work) -> Result<Digest> {
        let what = || format!("cannot delete {name}");
        let reference = name.digest().or_else(|| name.tag()).unwrap_or("latest");
        let digest = match name.digest() {
            Some(digest) => digest.parse()?,
            None => self.repository(name, work.clone())?.resolve(reference).attempt(what)?.digest,
        };
        let scopes = [Scope::delete(name.repository())];
        let path = format!("{}/manifests/{digest}", name.repository());
        let endpoint = &self.registries.registry(name.registry(), self.is_insecure)?.endpoint;
        run(endpoint.policy(), work, || {
            let response = endpoint.call(get(Method::DELETE, Target::Path(&path), &scopes), work)?;
            match response.status() {
                405 => Err(refused(name).into()),
                _ => response.expect(&what(), &[200, 202, 204]).map(drop),
            }
        })?;
        Ok(digest)
    }
}

fn refused(name: &ImageName) -> Error {
    let message = format!("cannot delete {name}: {} does not delete images", name.registry());
    Error::new(ErrorKind::Unsupported, message)
        .with_hint("its administrator can enable it, for example with REGISTRY_STORAGE_DELETE_ENABLED=true")
}

fn get<'a>(method: Method, target: Target<'a>, scopes: &'a [Scope]) -> Call<'a> {
    let headers = vec![("accept", "application/json".to_owned())];
    Call { method, target, headers, scopes, payload: Payload::None, patience: None, closes: 0 }
}

fn page(response: Response) -> Result<Page, Failure> {
    let url = response.url.clone();
    let bytes = response.read(PAGE)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::input(format!("{url} is no list of tags")).with_source(error).into())
}
