package io.fluxtally.boot.actuate;

import org.jspecify.annotations.Nullable;
import org.springframework.web.util.HtmlUtils;

/**
 * Writes a page. Every text and every value of an attribute is escaped here, so that no name can become markup. Not safe for
 * use by several threads.
 */
final class Html {

    private final StringBuilder out = new StringBuilder("<!DOCTYPE html>\n");

    /** Begins an element, to be ended by one of {@link Element}'s methods. */
    Element element(String name) {
        out.append('<').append(name);
        return new Element(name);
    }

    /** A text inside the element that is open. */
    Html text(String text) {
        out.append(escaped(text));
        return this;
    }

    /** A name that somebody else chose: its direction of writing does not reach beyond it. */
    Html name(String name) {
        element("bdi").text(name);
        return this;
    }

    /** The style sheet, which is not escaped: to be given nothing but what the page itself is made of. */
    void style(String css) {
        out.append("<style>").append(css).append("</style>");
    }

    private static String escaped(String text) {
        return HtmlUtils.htmlEscape(text, "UTF-8");
    }

    @Override
    public String toString() {
        return out.toString();
    }

    /** An element whose attributes are being written. */
    final class Element {

        private final String name;

        private Element(String name) {
            this.name = name;
        }

        /** An attribute; left out if the value is null. */
        Element with(String attribute, @Nullable Object value) {
            if (value != null) {
                out.append(' ')
                        .append(attribute)
                        .append("=\"")
                        .append(escaped(value.toString()))
                        .append('"');
            }
            return this;
        }

        /** The element with a text in it. */
        void text(String text) {
            holding(() -> Html.this.text(text));
        }

        /** The element with a name that somebody else chose in it. */
        void name(String text) {
            holding(() -> Html.this.name(text));
        }

        /** The element with what is written meanwhile in it. */
        void holding(Runnable content) {
            out.append('>');
            content.run();
            out.append("</").append(name).append('>');
        }

        /** An element that has no content and no end tag. */
        void alone() {
            out.append('>');
        }
    }
}
