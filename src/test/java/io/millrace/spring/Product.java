package io.millrace.spring;

import org.springframework.data.annotation.Id;
import org.springframework.data.annotation.Transient;
import org.springframework.data.domain.Persistable;
import org.springframework.data.relational.core.mapping.Table;

/** A row whose id is the application's own. */
@Table("products")
record Product(
        @Id String id, String name, int stock, @Transient boolean isNew) implements Persistable<String> {

    static final String TABLE = "CREATE TABLE products (id text PRIMARY KEY, name text NOT NULL, stock int NOT NULL)";

    @org.springframework.data.annotation.PersistenceCreator
    Product(String id, String name, int stock) {
        this(id, name, stock, false);
    }

    static Product fresh(String id, String name, int stock) {
        return new Product(id, name, stock, true);
    }

    @Override
    public String getId() {
        return id;
    }
}
