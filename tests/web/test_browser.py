"""The search page in a real browser: what a person does, and what they then see."""

import re
import shutil

import pytest

from tests.web.conftest import COUNT, HOSTILE, as_file, photo_of

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("no chromium on this machine", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-extensions",
]  # fmt: skip
WAIT = 20_000


@pytest.fixture(scope="module")
def browser():
    expect.set_options(timeout=WAIT)
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, site):
    """An open page; at the end it has asked nobody else, and complained of nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=site)
    context.set_default_timeout(WAIT)
    opened, complaints, elsewhere = context.new_page(), [], []
    opened.refused = 0  # requests that a test has the server refuse, which a browser says by itself
    report = "{0.text} {0.location[url]}".format
    opened.on("console", lambda said: said.type in {"error", "warning"} and complaints.append(report(said)))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda sent: elsewhere.append(sent.url) if not sent.url.startswith((site, "blob:")) else None)
    yield opened
    context.close()
    assert len(complaints) == opened.refused, complaints
    assert all("status of 40" in said for said in complaints), complaints
    assert elsewhere == []


def type_words(page, words):
    page.get_by_label("Words", exact=True).fill(words)
    page.get_by_label("Words", exact=True).press("Enter")


def hits(page):
    return page.locator(".hit")


def test_words_entities_and_their_chips(page):
    page.goto("/")
    expect(page.locator(".start")).to_contain_text(f"{COUNT} products")
    type_words(page, "golden gosoe leather coats")
    expect(hits(page)).to_have_count(COUNT)
    expect(hits(page).first.locator("img")).to_have_js_property("complete", True)
    assert hits(page).first.locator("img").evaluate("image => image.naturalWidth") == 64
    read = page.get_by_role("region", name="Entities found in the words")
    expect(read).to_contain_text("brand golden goose")
    expect(read).to_contain_text("for “golden gosoe”")
    expect(page.locator(".gates")).to_contain_text("brand golden goose")
    expect(page.locator(".tags .right").first).to_be_visible()

    read.get_by_role("button", name="Do not read “coats” as subcategory coats").click()
    expect(read.locator(".kept")).to_have_count(1)
    expect(page.locator(".gates")).not_to_contain_text("coats")
    read.get_by_role("button", name="+ subcategory leather").click()
    expect(page.locator("#picks")).to_contain_text("leather")
    expect(page.locator(".gates")).to_contain_text("leather")
    assert "unlink=subcategory%3Dcoats" in page.url

    page.go_back()
    expect(page.locator("#picks")).not_to_contain_text("leather")
    page.go_back()
    expect(read.locator(".kept")).to_have_count(2)
    page.reload()
    expect(read.locator(".kept")).to_have_count(2)
    expect(page.get_by_label("Words", exact=True)).to_have_value("golden gosoe leather coats")


def test_a_photo_is_chosen_weighed_and_removed(page, tmp_path):
    (tmp_path / "mine.png").write_bytes(as_file(photo_of(7, 200)))
    page.goto("/")
    page.locator("#photo").set_input_files(tmp_path / "mine.png")
    expect(page.locator("#seed")).to_contain_text("mine.png")
    page.get_by_role("radio", name="photo").check(force=True)
    expect(hits(page).first).to_contain_text("number 7")
    expect(page.locator("#weight")).to_be_disabled()
    type_words(page, "gucci boots")
    expect(page.locator("#weight")).to_be_enabled()
    page.locator("#weight").fill("100")
    expect(page.locator("#weight-says")).to_have_text("100 % photo, 0 % words")
    expect(hits(page).first).to_contain_text("number 7")
    page.get_by_role("button", name="Remove the photo").click()
    expect(page.locator("#seed")).to_be_hidden()
    expect(page.locator("#weight")).to_be_disabled()


def test_what_is_no_photo_is_told(page, tmp_path):
    page.goto("/")
    page.refused = 1
    (tmp_path / "text.png").write_bytes(b"no photo")
    page.locator("#photo").set_input_files(tmp_path / "text.png")
    expect(page.get_by_role("alert")).to_contain_text("not a JPEG, PNG or WEBP")
    (tmp_path / "large.png").write_bytes(bytes(11 * 2**20))
    page.locator("#photo").set_input_files(tmp_path / "large.png")
    expect(page.get_by_role("alert")).to_contain_text("10 MB is the most")


def test_a_dropped_photo(page, site):
    page.goto("/")
    expect(page.locator(".start")).to_be_visible()
    dropped = page.evaluate_handle(
        """async () => {
            const photo = await (await fetch("api/photo/shop?product=p8")).blob();
            const carried = new DataTransfer();
            carried.items.add(new File([photo], "dropped.jpg", { type: "image/jpeg" }));
            return carried;
        }"""
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": dropped})
    expect(page.get_by_text("Drop the photo")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    expect(page.get_by_text("Drop the photo")).to_be_hidden()
    expect(page.locator("#seed")).to_contain_text("dropped.jpg")
    expect(hits(page)).to_have_count(COUNT)


def test_entities_are_picked_by_keyboard_and_filter(page):
    page.goto("/")
    expect(page.locator(".start")).to_be_visible()
    type_words(page, "red coats")
    field = page.get_by_label("Entity to add")
    field.focus()
    field.press_sequentially("gu")
    field.press("Enter")  # before the values for it have come
    expect(page.locator("#picks")).to_contain_text("gucci")
    expect(page.get_by_label("steer")).to_be_checked()
    page.get_by_label("filter").check()
    expect(hits(page)).to_have_count(COUNT // 3)
    page.get_by_label("steer").uncheck()
    expect(page.locator(".gates")).not_to_contain_text("gucci")
    expect(hits(page)).to_have_count(COUNT // 3)

    page.locator("#swap-in").press_sequentially("g")
    expect(page.locator(".offers:not([hidden]) li")).to_have_text([re.compile("golden goose"), re.compile("gucci")])
    page.locator("#swap-in").press("ArrowDown")
    page.locator("#swap-in").press("ArrowUp")
    page.locator("#swap-in").press("Enter")
    expect(page.locator("#swaps")).to_contain_text("+ brand golden goose")
    assert re.search(r"[?&]f=brand%3Agucci&in=brand%3Agolden\+goose", page.url)
    page.get_by_label("Words for what is not wanted").fill("boots")
    page.get_by_label("Words for what is not wanted").press("Enter")
    expect(hits(page)).to_have_count(COUNT // 3)
    page.get_by_role("button", name="Start anew").click()
    expect(page.locator(".start")).to_be_visible()
    expect(page.locator("#picks")).to_be_empty()


def test_two_models_side_by_side_and_more_like_this(page):
    page.goto("/?d=shop&v=eiclip&q=gucci+boots")
    expect(hits(page)).to_have_count(COUNT)
    page.locator("#second").select_option("clip_description")
    expect(page.locator(".answer")).to_have_count(2)
    expect(page.get_by_role("heading", level=2)).to_have_text(["EI-CLIP", "CLIP fine-tuned on descriptions"])
    expect(page.locator(".place.both")).to_have_count(2 * COUNT)
    boxes = [page.locator(".answer").nth(n).bounding_box() for n in range(2)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]

    title = hits(page).first.get_by_role("heading").inner_text().split(". ", 1)[1]
    hits(page).first.get_by_role("button", name="More like").click()
    expect(page.locator("#seed")).to_contain_text(f"like {title}")
    expect(hits(page)).to_have_count(2 * (COUNT - 1))
    expect(page.get_by_label("Words", exact=True)).to_be_focused()


def test_hostile_texts_are_shown_as_text(page):
    page.goto("/")
    expect(page.locator(".start")).to_be_visible()
    type_words(page, f"{HOSTILE} gucci")
    expect(hits(page)).to_have_count(COUNT)
    expect(hits(page).filter(has_text=HOSTILE)).to_have_count(1)
    hits(page).filter(has_text=HOSTILE).get_by_role("button").click()
    expect(page.locator("#seed")).to_contain_text(HOSTILE)
    page.goto(f"/?d=shop&v=eiclip&q=x&f=brand:{HOSTILE}&in={HOSTILE}:b&unlink={HOSTILE}&w=NaN&view={HOSTILE}")
    expect(page.get_by_role("alert")).to_contain_text("<img src=x onerror=")
    page.refused = 1
    assert page.title() == "Product search"
    assert page.locator("img[src=x]").count() == 0


def test_an_address_of_another_home_is_told(page):
    page.goto("/?d=nowhere&v=eiclip&q=coat")
    expect(page.get_by_role("alert")).to_contain_text("No dataset 'nowhere': there are shop.")
    page.locator("#dataset").select_option("shop")
    expect(hits(page)).to_have_count(COUNT)
    page.goto("/?d=shop&v=none&q=coat")
    expect(page.get_by_role("alert")).to_contain_text("No variant 'none'")
    page.locator("#variant").select_option("eiclip")
    expect(hits(page)).to_have_count(COUNT)
    page.refused = 2


def test_a_phone_has_it_all_in_its_width(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/?d=shop&v=eiclip&with=clip_description&q=gucci+boots")
    expect(hits(page)).to_have_count(2 * COUNT)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.get_by_label("Entity to add")).to_be_hidden()
    page.get_by_text("Refine").click()
    expect(page.get_by_label("Entity to add")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
