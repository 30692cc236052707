package io.millrace.spring;

import jakarta.persistence.ElementCollection;
import jakarta.persistence.Entity;
import jakarta.persistence.FetchType;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import jakarta.persistence.Table;
import java.util.HashSet;
import java.util.Set;

/** An entity of JPA, with a collection in a table of its own. */
@Entity
@Table(name = "articles")
class Article {

    @Id
    @GeneratedValue(strategy = GenerationType.IDENTITY)
    private Long id;

    private String title;

    @ElementCollection(fetch = FetchType.LAZY)
    private Set<String> tags = new HashSet<>();

    protected Article() {}

    Article(String title) {
        this.title = title;
    }

    Long id() {
        return id;
    }

    String title() {
        return title;
    }

    void title(String newTitle) {
        this.title = newTitle;
    }

    Set<String> tags() {
        return tags;
    }
}
