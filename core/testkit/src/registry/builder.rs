//! The behaviour of a registry.

use super::Registry;
use super::auth::{Auth, TokenOptions};

#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) auth: Auth,
    pub(super) several_challenges: bool,
    pub(super) max_body: Option<u64>,
    pub(super) chunk_min_length: Option<u64>,
    pub(super) chunks_only: Option<u16>,
    pub(super) several_links: bool,
    pub(super) refuse_mounts: bool,
    pub(super) mount_status: Option<u16>,
    pub(super) immutable_tags: bool,
    pub(super) no_referrers: bool,
    pub(super) location_base: Option<String>,
    pub(super) location_query: Option<String>,
    pub(super) refuse_streaming: bool,
    pub(super) no_resume: bool,
    pub(super) signed_offset: bool,
    pub(super) unchecked_manifests: bool,
    pub(super) page_size: Option<usize>,
}

/// Says how a registry behaves. Without more it is open to everyone and can do everything.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    options: Options,
}

impl Builder {
    /// Starts the registry.
    #[must_use]
    pub fn start(self) -> Registry {
        Registry::with(self.options)
    }

    /// Wants these credentials with every request.
    pub fn basic(self, user: &str, password: &str) -> Self {
        let auth = Auth::Basic { user: user.to_owned(), password: password.to_owned() };
        self.with(|options| options.auth = auth)
    }

    /// Wants tokens, which its own `/token` gives.
    pub fn tokens(self, tokens: TokenOptions) -> Self {
        self.with(|options| options.auth = Auth::Tokens(tokens))
    }

    /// Asks for Negotiate and for Basic, in a realm with a comma, before what it asks for otherwise.
    /// Where it wants tokens, it takes their user's name and password as well.
    pub fn several_challenges(self) -> Self {
        self.with(|options| options.several_challenges = true)
    }

    /// Answers 413 to bodies of more bytes, before it reads them if they have a `Content-Length`.
    pub fn max_body(self, bytes: u64) -> Self {
        self.with(|options| options.max_body = Some(bytes))
    }

    /// Sends `OCI-Chunk-Min-Length`, and returns 416 to what follows a shorter chunk.
    pub fn chunk_min_length(self, bytes: u64) -> Self {
        self.with(|options| options.chunk_min_length = Some(bytes))
    }

    /// Answers this status to a PUT that has the whole blob, and forgets the upload.
    pub fn chunks_only(self, status: u16) -> Self {
        self.with(|options| options.chunks_only = Some(status))
    }

    /// Lists other links before the one to the next page, with commas in their titles and targets, and none of it in
    /// the simplest form.
    pub fn several_links(self) -> Self {
        self.with(|options| options.several_links = true)
    }

    /// Answers 202 to every mount.
    pub fn refuse_mounts(self) -> Self {
        self.with(|options| options.refuse_mounts = true)
    }

    /// Answers this error to every mount.
    pub fn mount_status(self, status: u16) -> Self {
        self.with(|options| options.mount_status = Some(status))
    }

    /// Refuses to write an existing tag: with 409 if the manifest is another one, with 400 if it is
    /// the same. The code is `DENIED`.
    pub fn immutable_tags(self) -> Self {
        self.with(|options| options.immutable_tags = true)
    }

    /// Has no referrers API: 404, and no `OCI-Subject`.
    pub fn no_referrers(self) -> Self {
        self.with(|options| options.no_referrers = true)
    }

    /// Puts `base` before the path of upload locations, such as `http://blobs.example`. `{host}` in it
    /// is the host of this registry, `{port}` its port.
    pub fn absolute_location(self, base: &str) -> Self {
        self.with(|options| options.location_base = Some(base.to_owned()))
    }

    /// Has `query` in upload locations, and returns 400 to requests that do not keep it as it is.
    pub fn location_query(self, query: &str) -> Self {
        self.with(|options| options.location_query = Some(query.to_owned()))
    }

    /// Answers 411 to a PATCH without `Content-Length`.
    pub fn refuse_streaming(self) -> Self {
        self.with(|options| options.refuse_streaming = true)
    }

    /// Does not say how far an upload is, and loses it if the connection breaks.
    pub fn no_resume(self) -> Self {
        self.with(|options| options.no_resume = true)
    }

    /// Forgets an upload, with 400, whose location states another offset than it has: as the reference implementation
    /// 2.8, which signs the offset. What a connection brought before it broke stays, and is in no location.
    pub fn signed_offset(self) -> Self {
        self.with(|options| options.signed_offset = true)
    }

    /// Accepts any bytes as a manifest, whatever they refer to.
    pub fn unchecked_manifests(self) -> Self {
        self.with(|options| options.unchecked_manifests = true)
    }

    /// Lists at most that many tags or referrers at once.
    pub fn page_size(self, entries: usize) -> Self {
        self.with(|options| options.page_size = Some(entries.max(1)))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }
}
