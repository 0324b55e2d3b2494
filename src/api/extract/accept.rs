//! `Accept` (RFC 9110, 12.5.1), as far as it chooses between JSON and an image.

/// Whether `accept` prefers a PNG to JSON: a browser's `<img>` does, `*/*` does not.
pub fn prefers_image(accept: &str) -> bool {
    quality(accept, "image", "png") > quality(accept, "application", "json")
}

/// The quality of a media type in thousandths: that of the most specific range that matches it, 0 if none does.
fn quality(accept: &str, main: &str, sub: &str) -> u32 {
    let mut best = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let Some((range_main, range_sub)) = parts.next().and_then(|name| name.split_once('/')) else { continue };
        let specificity = match (range_main, range_sub) {
            (m, s) if m.eq_ignore_ascii_case(main) && s.eq_ignore_ascii_case(sub) => 3,
            (m, "*") if m.eq_ignore_ascii_case(main) => 2,
            ("*", "*") => 1,
            _ => continue,
        };
        let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let q = q.map_or(1_000, thousandths);
        best = best.max((specificity, q));
    }
    best.1
}

/// `0`, `1`, `0.5` … in thousandths; anything else counts as 0.
fn thousandths(q: &str) -> u32 {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let digits = |text: &str| text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(fraction) {
        return 0;
    }
    match whole {
        "1" => 1_000,
        "0" => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_chosen_only_where_it_is_preferred() {
        for accept in [
            "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
            "image/png",
            "image/*",
            "image/png, application/json;q=0.9",
            "application/json;q=0, image/*;q=0.1",
        ] {
            assert!(prefers_image(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "application/json",
            "image/png;q=0.5, application/json",
            "application/json, image/png",
            "text/html,application/xhtml+xml",
            "image/png;q=0",
            "image/jpeg",
            "image/png;q=nonsense",
        ] {
            assert!(!prefers_image(accept), "{accept}");
        }
    }
}
