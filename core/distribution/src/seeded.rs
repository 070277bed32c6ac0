//! Random but reproducible texts, for tests of parsers.

/// A generator (xorshift).
pub(crate) struct Random(u64);

impl Random {
    /// Returns generators for `count` texts, and for as many of each further seed until the time is over.
    pub(crate) fn seeded(seed: u64, count: u64) -> impl Iterator<Item = Self> {
        longshore_testkit::seeds(seed).flat_map(move |seed| (0..count).map(move |at| Self::new(seed << 32 | at)))
    }

    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.bits() % limit.max(1) as u64).unwrap_or_default()
    }

    pub(crate) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    /// Returns up to `most` characters of an alphabet.
    pub(crate) fn text(&mut self, alphabet: &str, most: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..self.below(most + 1)).map(|_| self.pick(&alphabet)).collect()
    }

    /// Returns optional white space.
    pub(crate) fn space(&mut self) -> &'static str {
        self.pick(&["", "", " ", "\t", "  "])
    }

    /// Returns the text with a few characters dropped, doubled or replaced.
    pub(crate) fn broken(&mut self, text: &str) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(4) {
            let at = self.below(characters.len() + 1);
            match self.below(4) {
                0 if at < characters.len() => drop(characters.remove(at)),
                1 => characters.truncate(at),
                2 if at < characters.len() => characters.insert(at, characters[at]),
                _ => characters.insert(at, self.pick(&['"', '\\', ',', ';', '=', '<', '>', ' ', '\0', '\u{e9}', '-'])),
            }
        }
        characters.into_iter().collect()
    }
}
