//! A request as text: the query, headers a line each, an empty line, the body.

pub struct Request<'a> {
    pub query: String,
    headers: Vec<(String, &'a [u8])>,
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    pub fn read(data: &'a [u8]) -> Self {
        let end = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
        let (head, body) = (&data[..end], data.get(end + 2..).unwrap_or_default());
        let mut lines = head.split(|byte| *byte == b'\n');
        let query = lines.next().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let headers = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            Some((name, line[colon + 1..].trim_ascii()))
        });
        Self { query, headers: headers.collect(), body }
    }

    pub fn headers(&self) -> Vec<(&str, &'a [u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), *value)).collect()
    }
}
