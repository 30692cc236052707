package io.millrace.spring;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.StoredFields;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.store.ByteBuffersDirectory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** The secondary store: a real Lucene index, which holds what its primary held when it last looked. */
final class ProductIndex implements AutoCloseable {

    private final IndexWriter writer;

    ProductIndex() {
        try {
            writer = new IndexWriter(new ByteBuffersDirectory(), new IndexWriterConfig());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Takes over the rows of these ids as they are now: those that are gone are removed. Doing it again does no harm. */
    Mono<Void> refresh(Set<String> ids, Flux<Product> rows) {
        return rows.collectMap(Product::id)
                .publishOn(Schedulers.boundedElastic()) // Lucene blocks
                .doOnNext(found -> ids.forEach(id -> put(id, found.get(id))))
                .then();
    }

    private void put(String id, Product row) {
        try {
            Term term = new Term("id", id);
            if (row == null) {
                writer.deleteDocuments(term);
            } else {
                Document document = new Document();
                document.add(new StringField("id", id, Field.Store.YES));
                document.add(new TextField("name", row.name(), Field.Store.YES));
                document.add(new StoredField("stock", row.stock()));
                writer.updateDocument(term, document);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Everything in it. */
    Map<String, Product> all() {
        try (DirectoryReader reader = DirectoryReader.open(writer)) {
            Map<String, Product> all = new HashMap<>();
            IndexSearcher searcher = new IndexSearcher(reader);
            StoredFields fields = searcher.storedFields();
            for (ScoreDoc hit :
                    searcher.search(new org.apache.lucene.search.MatchAllDocsQuery(), Integer.MAX_VALUE).scoreDocs) {
                Document document = fields.document(hit.doc);
                Product product = new Product(
                        document.get("id"),
                        document.get("name"),
                        document.getField("stock").numericValue().intValue());
                if (all.put(product.id(), product) != null) {
                    throw new IllegalStateException(product.id() + " is there twice");
                }
            }
            return all;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The ids of those whose names have this word. */
    List<String> search(String word) {
        try (DirectoryReader reader = DirectoryReader.open(writer)) {
            IndexSearcher searcher = new IndexSearcher(reader);
            StoredFields fields = searcher.storedFields();
            List<String> ids = new java.util.ArrayList<>();
            for (ScoreDoc hit : searcher.search(new TermQuery(new Term("name", word)), 1_000).scoreDocs) {
                ids.add(fields.document(hit.doc).get("id"));
            }
            return ids;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        try {
            writer.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
