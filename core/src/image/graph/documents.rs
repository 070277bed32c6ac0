//! The documents of a graph, each read from its provider once.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use longshore_content::{Provider, read};
use longshore_oci::{
    CONFIG_LIMIT, Descriptor, Digest, Error, ImageConfig, Index, MANIFEST_LIMIT, Manifest, MediaType, Result,
    parse_index, parse_manifest,
};

/// The type as which a blob was read.
#[derive(Debug, Clone)]
enum Document {
    Index(Arc<Index>),
    Manifest(Arc<Manifest>),
    Config(Arc<ImageConfig>),
    /// A type that may be a configuration, but is not.
    Other,
}

/// A reference to a document: another size or type for the same digest is read, and then refused.
type Reference = (Digest, MediaType, u64);

/// The parsed documents read so far.
#[derive(Debug)]
pub(super) struct Documents<'a> {
    provider: &'a dyn Provider,
    read: RefCell<HashMap<Reference, Document>>,
    /// Documents that were read, or failed to read.
    tried: RefCell<HashSet<Reference>>,
    /// Bytes that may still be read.
    left: Cell<u64>,
    limit: u64,
}

impl<'a> Documents<'a> {
    pub(super) fn new(provider: &'a dyn Provider, limit: u64) -> Self {
        Self { provider, read: RefCell::default(), tried: RefCell::default(), left: Cell::new(limit), limit }
    }

    pub(super) fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
        self.left = Cell::new(bytes);
    }

    pub(super) fn index(&self, descriptor: &Descriptor) -> Result<Arc<Index>> {
        let parse = |bytes: &[u8]| Ok(Document::Index(Arc::new(parse_index(descriptor, bytes)?)));
        match self.document(descriptor, MANIFEST_LIMIT, parse)? {
            Document::Index(index) => Ok(index),
            _ => Err(read_as_another(descriptor)),
        }
    }

    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<Arc<Manifest>> {
        let parse = |bytes: &[u8]| Ok(Document::Manifest(Arc::new(parse_manifest(descriptor, bytes)?)));
        match self.document(descriptor, MANIFEST_LIMIT, parse)? {
            Document::Manifest(manifest) => Ok(manifest),
            _ => Err(read_as_another(descriptor)),
        }
    }

    /// Returns an image configuration; `None` if the blob is not one. That depends on the media type, or on the
    /// content if the media type is unspecific.
    pub(super) fn config(&self, descriptor: &Descriptor) -> Result<Option<Arc<ImageConfig>>> {
        let media_type = &descriptor.media_type;
        let is_certain = media_type.is_config();
        if !media_type.may_be_config() || (!is_certain && descriptor.size > CONFIG_LIMIT) {
            return Ok(None);
        }
        let parse = |bytes: &[u8]| match ImageConfig::parse(bytes) {
            Ok(config) if is_certain || is_of_image(&config) => Ok(Document::Config(Arc::new(config))),
            Err(error) if is_certain => Err(error.context(format!("cannot read config {}", descriptor.digest))),
            _ => Ok(Document::Other),
        };
        match self.document(descriptor, CONFIG_LIMIT, parse)? {
            Document::Config(config) => Ok(Some(config)),
            _ => Ok(None),
        }
    }

    /// Returns whether the blob was read completely, or reading it failed.
    pub(super) fn was_tried(&self, descriptor: &Descriptor) -> bool {
        self.tried.borrow().contains(&reference(descriptor))
    }

    fn document(
        &self,
        descriptor: &Descriptor,
        limit: u64,
        parse: impl FnOnce(&[u8]) -> Result<Document>,
    ) -> Result<Document> {
        let reference = reference(descriptor);
        if let Some(known) = self.read.borrow().get(&reference) {
            return Ok(known.clone());
        }
        self.tried.borrow_mut().insert(reference.clone());
        let bytes = read(self.provider, descriptor, limit)?;
        let left = self.left.get().checked_sub(bytes.len() as u64).ok_or_else(|| {
            Error::input(format!("manifests and configurations have more bytes than the limit of {}", self.limit))
        })?;
        self.left.set(left);
        let document = parse(&bytes)?;
        self.read.borrow_mut().insert(reference, document.clone());
        Ok(document)
    }
}

fn reference(Descriptor { digest, media_type, size, .. }: &Descriptor) -> Reference {
    (digest.clone(), media_type.clone(), *size)
}

fn read_as_another(descriptor: &Descriptor) -> Error {
    Error::input(format!("{} is a `{}`, referenced as something else", descriptor.digest, descriptor.media_type))
}

/// Returns whether JSON of an unspecific media type is the configuration of an image.
fn is_of_image(config: &ImageConfig) -> bool {
    config.platform().is_ok() && config.diff_ids().is_ok_and(|diff_ids| !diff_ids.is_empty())
}
