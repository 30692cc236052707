package io.millrace.spring;

import org.springframework.data.annotation.Id;
import org.springframework.data.relational.core.mapping.Table;

/** A row whose id the database makes. */
@Table("notes")
record Note(@Id Long id, String text) {

    static final String TABLE =
            "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL)";

    static Note of(String text) {
        return new Note(null, text);
    }
}
