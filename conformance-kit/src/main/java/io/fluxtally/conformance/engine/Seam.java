package io.fluxtally.conformance.engine;

/** Where an engine lets Fluxtally hear what a model used. */
public enum Seam {
    /** The wire tap, in the model's HTTP clients. */
    WIRE_TAP,
    /** The usage-capturing operator, right behind what the model streams; a blocking call passes it. */
    OPERATOR,
    /** The decorator around the model. */
    DECORATOR
}
